// Which files make up the values, and in which order. All mistakes are reported at once, each with its place.
import { afterAll, describe, expect, it } from "@effect/vitest"
import { Effect, Result, Runtime } from "effect"
import { execFileSync, spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { loadLayers, loadValues, readTexts, valuesIn } from "../../../src/controller/configuration/values-files.ts"
import { told } from "../../../src/schema/document/fault.ts"

const root = mkdtempSync(join(tmpdir(), "values-files-"))
afterAll(() => rmSync(root, { recursive: true }))
let count = 0
const directory = (files: Readonly<Record<string, string>>): string => {
  const place = join(root, String(count++))
  mkdirSync(place)
  for (const [name, text] of Object.entries(files)) writeFileSync(join(place, name), text)
  return place
}
const total = (value: number) => `task: { limits: { total: ${value} } }\n`

describe("values files", () => {
  it.effect("are laid over each other in the order given", () =>
    Effect.gen(function*() {
      const place = directory({ "a.yaml": total(1), "b.yaml": "task: { limits: { perWorkspace: 3 } }" })
      expect((yield* loadValues([join(place, "a.yaml"), join(place, "b.yaml")])).values.task.limits).toEqual({ total: 1, perWorkspace: 3 })
      expect((yield* loadValues([])).values.task.limits).toEqual({ total: 50, perWorkspace: 10 })
    }))

  it.effect("of a directory, or in a ConfigMap, are its *.yaml by name, values.yaml last, and nothing else", () =>
    Effect.gen(function*() {
      const files = {
        "zoo.yaml": total(3),
        "values.yaml": total(2),
        "alpha.yaml": total(1),
        ".#values.yaml": "of Emacs",
        "._values.yml": "of macOS",
        "README.md": "- no"
      }
      const place = directory(files)
      expect((yield* loadLayers([place])).map(({ name }) => name)).toEqual(
        ["alpha.yaml", "zoo.yaml", "values.yaml"].map((name) => join(place, name))
      )
      expect((yield* loadValues([place])).values.task.limits.total).toBe(2)
      const { layers, values } = yield* valuesIn(files)
      expect([layers.map(({ name }) => name), values.task.limits.total]).toEqual([["alpha.yaml", "zoo.yaml", "values.yaml"], 2])
    }))

  it.effect("are refused where one in a directory or ConfigMap is almost a layer by its name, and would be left out without a word", () =>
    Effect.gen(function*() {
      const files = { "base.yaml": total(1), "values.yml": total(2) }
      const place = directory(files)
      const says = "values.yml is no layer, since the name of one ends with .yaml; rename it, or take it away"
      expect((yield* Effect.flip(loadValues([place]))).faults.map(told)).toEqual([join(place, says)])
      expect((yield* Effect.flip(valuesIn(files))).faults.map(told)).toEqual([says])
      expect((yield* loadValues([join(place, "values.yml")])).values.task.limits.total).toBe(2) // a file that is named by itself may have any name
    }))

  it.effect("of a mounted ConfigMap are of one version, though each of its files is a link of its own", () =>
    Effect.gen(function*() {
      const place = directory({})
      for (const version of ["..old", "..new"]) mkdirSync(join(place, version))
      writeFileSync(join(place, "..old", "values.yaml"), total(1))
      writeFileSync(join(place, "..new", "values.yaml"), total(2))
      symlinkSync("..old", join(place, "..data"))
      symlinkSync("..new/values.yaml", join(place, "values.yaml"))
      expect((yield* loadValues([place])).values.task.limits.total).toBe(1)
    }))

  it.effect("are at most as large as a ConfigMap", () =>
    Effect.gen(function*() {
      const comment = (length: number) => `#${"x".repeat(length - 1)}`
      const place = directory({ "a.yaml": comment(1024 * 1024), "b.yaml": comment(1024 * 1024 + 1) })
      const error = yield* Effect.flip(loadValues([place]))
      expect(error.faults.map(told)).toEqual([
        `${join(place, "b.yaml")} is larger than 1 MiB, the most that a ConfigMap holds; check that it is the file you mean`
      ])
    }))

  it.effect.each([
    { what: "Latin-1", bytes: Buffer.from("task: { runner: { extraEnv: { NAME: M\u00fcller } } }", "latin1") },
    { what: "UTF-16 with a mark, as PowerShell 5 writes it", bytes: Buffer.from(`\ufeff${total(1)}`, "utf16le") },
    { what: "UTF-16 without one", bytes: Buffer.from(total(1), "utf16le") }
  ])(
    "are refused where one is not UTF-8, without whose letters a value would be another one: $what",
    ({ bytes }) =>
      Effect.gen(function*() {
        const file = join(directory({}), "values.yaml")
        writeFileSync(file, bytes)
        expect((yield* Effect.flip(loadValues([file]))).faults.map(told)).toEqual([
          `${file} is not UTF-8 text; save it as UTF-8, which PowerShell 5 does only when told to`
        ])
      })
  )

  it.effect("may begin with the mark of UTF-8, which is no part of their text", () =>
    Effect.gen(function*() {
      expect((yield* readTexts([directory({ "values.yaml": `\ufeff${total(1)}` })])).map(({ text }) => text)).toEqual([total(1)])
    }))

  it.live.each([
    { what: "nothing", written: "", says: " is empty, or was read before; see what is piped into this command" },
    { what: "no values", written: "{}", says: undefined }
  ])("of a pipe that gets $what, such as <(...), are told from those of an empty file", ({ says, written }) =>
    Effect.gen(function*() {
      const pipe = join(root, `pipe${written.length}`)
      execFileSync("mkfifo", [pipe])
      const writer = spawn("sh", ["-c", `printf %s "$1" > "$0"`, pipe, written])
      const read = yield* Effect.result(loadLayers([pipe]))
      writer.kill()
      expect(Result.isFailure(read) ? read.failure.faults.map(({ message }) => ` ${message}`)[0] : undefined).toBe(says)
    }))

  it.effect("tell every mistake at once, with the file that is answerable, and exit with 2", () =>
    Effect.gen(function*() {
      const place = directory({
        "a.yaml": "task:\n  limts: {}\n  job: { backoffLimit: 1 }\n",
        "values.yaml": "agnt: {}\ntask:\n  job:\n    backoffLimit: -1\n"
      })
      const error = yield* Effect.flip(loadValues([place]))
      expect(error.faults.map(told)).toEqual([
        `${place}/a.yaml:2:3 task.limts: unknown key, did you mean "limits"?`,
        `${place}/values.yaml:1:1 agnt: unknown key, did you mean "agent"?`,
        `${place}/values.yaml:4:5 task.job.backoffLimit: must be a value greater than or equal to 0`
      ])
      expect(Runtime.getErrorExitCode(error)).toBe(2)
    }))

  it.effect("tell the faults of every text before anything is decoded", () =>
    Effect.gen(function*() {
      const place = directory({ "a.yaml": "a: [", "b.yaml": "- b", "values.yaml": "agnt: {}" })
      expect((yield* Effect.flip(loadValues([place]))).faults.map(told)).toEqual([
        expect.stringContaining("a.yaml:1:5"),
        `${place}/b.yaml:1:1 must be a map of keys`
      ])
    }))

  it.effect.each([{ path: "/no/such/values.yaml" }, { path: join(root, "empty") }])(
    "name what is not there: $path",
    ({ path }) =>
      Effect.gen(function*() {
        mkdirSync(join(root, "empty"), { recursive: true })
        expect((yield* Effect.flip(loadValues([path]))).message).toContain(path)
      })
  )

  it.effect("that cannot be read are named one by one, and no other file with them", () =>
    Effect.gen(function*() {
      const good = join(directory({ "good.yaml": total(1) }), "good.yaml")
      const overlay = directory({ "a.yaml": total(2) })
      symlinkSync("nowhere", join(overlay, "b.yaml"))
      const missing = (file: string) => `${file} cannot be read: no such file or directory`
      const faultsOf = (...paths: ReadonlyArray<string>) => Effect.map(Effect.flip(loadValues(paths)), ({ faults }) => faults.map(told))
      expect(yield* faultsOf(good, overlay, "/no/such.yaml", good)).toEqual([missing(join(overlay, "b.yaml")), missing("/no/such.yaml")])
    }))
})
