// Input from outside, broken in every way: each decoder accepts it or refuses it with an error of its own, soon, and nothing else happens.
// FUZZ_INPUTS is the number of inputs for each decoder, FUZZ_TIMES by how much fast ones get more; `make fuzz` sets both and prints the results.
import { describe, expect, it } from "@effect/vitest"
import { Cause, Effect, Exit, Option, Result, Schema } from "effect"
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { fromErrors, fromEvent, fromLog } from "../../src/core/stage/engine-events.ts"
import { plannedChanges } from "../../src/core/stage/plan-changes.ts"
import { yamlLayer } from "../../src/schema/document/yaml-layer.ts"
import { AgentTask } from "../../src/schema/task/agent-task.ts"
import { valuesDocument } from "../../src/schema/values/values-document.ts"
import { parseLayers, parseValues } from "../../src/schema/values/values.ts"
import { readReplies } from "../../src/worker/engine/exec-replies.ts"
import { StageFailed } from "../../src/worker/stage-failed.ts"
import { unpack } from "../../src/worker/volume/archive.ts"
import { openFolder } from "../../src/worker/volume/folder.ts"
import { tell } from "./figures.ts"
import { Chance, damaged, hostileTexts, type JsonSchema, valid } from "./random.ts"

const inputs = Number(process.env.FUZZ_INPUTS ?? 2000)
const many = inputs * Number(process.env.FUZZ_TIMES ?? 5)
const seed = Number(process.env.PROPERTY_SEED ?? 1)
const timeout = Math.max(1_200_000, inputs * 20, many)
const slowMicros = 10_000_000

/** Decodes `count` inputs; an exception, or an input that takes a processor for more than `slowMicros`, counts as a crash. */
const feed = <A>(what: string, input: (chance: Chance) => A, decode: (input: A) => unknown, count = inputs) => {
  const chance = new Chance(seed)
  const crashes: Array<string> = []
  for (let at = 0; at < count; at++) {
    const given = input(chance)
    const begun = process.cpuUsage()
    try {
      decode(given)
    } catch (error) {
      crashes.push(
        `${String(error)}: ${
          String(given instanceof Uint8Array ? Buffer.from(given).toString("base64") : JSON.stringify(given)).slice(0, 500)
        }`
      )
    }
    const { user } = process.cpuUsage(begun)
    if (user > slowMicros) {
      crashes.push(`took ${user / 1000} ms: ${String(JSON.stringify(given)).slice(0, 500)}`)
    }
  }
  tell(what, seed, { of: "decoderInputs", inputs: count, failures: crashes.length })
  expect(crashes).toEqual([])
}

const noise = (chance: Chance, most: number) => Buffer.from(Array.from({ length: chance.below(most) }, () => chance.below(256)))

/** Returns the text with a piece doubled, cut out or overwritten, or only a piece of it. */
const torn = (chance: Chance, text: string): string => {
  const [from, to] = [chance.below(text.length + 1), chance.below(text.length + 1)].sort((a, b) => a - b) as [number, number]
  return chance.one([
    text.slice(0, from),
    text.slice(0, from) + text.slice(to),
    text.slice(0, to) + text.slice(from),
    text.slice(0, from) + chance.one(hostileTexts) + text.slice(to),
    text.slice(from, to)
  ])
}

const header = (chance: Chance, name: string, type: string, size: number, link: string): Buffer => {
  const block = Buffer.alloc(512)
  block.write(name, 0, 100)
  block.write(chance.often(0.1) ? chance.one(["0004755\0", "0000000\0", "zzzzzzz\0"]) : "0000644\0", 100)
  block.write(`${size.toString(8).padStart(11, "0").slice(-11)}\0`, 124)
  block.fill(" ", 148, 156)
  block.write(type, 156)
  block.write(link, 157, 100)
  block.write("ustar\x0000", 257)
  if (chance.often(0.1)) block.write("/tmp", 345)
  block.write(`${block.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, "0")}\0 `, 148)
  if (chance.often(0.03)) block[chance.below(512)] = chance.below(256)
  return block
}

const names = [
  "a",
  "b",
  "a/b",
  "a/b/c",
  "../victim",
  "a/../../victim",
  "/tmp/agent-job-victim",
  "victim",
  "./a",
  "a/",
  "..",
  ".",
  "",
  "a//b",
  "A",
  "a\\b",
  "C:/x",
  "n".repeat(100),
  "d/".repeat(40),
  "\u0001"
]

const archive = (chance: Chance): Uint8Array => {
  const fair = chance.often(0.3) // without these, hardly any archive would be read as far as its second entry
  const name = () => fair && chance.often(0.9) ? `${chance.one(["a", "b", "c/d"])}${chance.below(100)}` : chance.one(names)
  const entries = Array.from({ length: 1 + chance.below(6) }, () => {
    const content = noise(chance, 700)
    const size = chance.often(fair ? 0.98 : 0.85) ? content.length : chance.one([0, 1, 511, 513, 2 ** 33, 10_000])
    const type = chance.often(fair ? 0.95 : 0.7)
      ? chance.one(["0", "5", "2"])
      : chance.one(["1", "3", "4", "6", "7", "x", "g", "L", "K", "S", "V", "\0", "9"])
    const pax = `${chance.one([11, 20, 30, 99, 999_999])} ${chance.one(["path", "linkpath", "size", "GNU.sparse.major", "hdrcharset"])}=${
      chance.one([...names, "-1", "9999999999999", "x"])
    }\n`
    const body = type === "x" || type === "g" ? Buffer.from(pax) : content
    const padded = Buffer.concat([body, Buffer.alloc((512 - (body.length % 512)) % 512)])
    return Buffer.concat([
      header(chance, name(), type, type === "x" || type === "g" ? body.length : size, name()),
      chance.often(0.95) ? padded : padded.subarray(0, chance.below(padded.length + 1))
    ])
  })
  const packed = gzipSync(Buffer.concat([...entries, ...(chance.often(0.9) ? [Buffer.alloc(1024)] : [])]), { level: 1 })
  if (chance.often(0.05)) return noise(chance, 2000)
  if (chance.often(0.1)) packed[chance.below(packed.length)] = chance.below(256)
  return chance.often(0.1) ? packed.subarray(0, chance.below(packed.length)) : packed
}

/** Returns the paths of everything in the folder; links are not followed. */
const below = (folder: string): ReadonlyArray<string> =>
  readdirSync(folder, { withFileTypes: true }).flatMap((
    entry
  ) => [join(folder, entry.name), ...(entry.isDirectory() ? below(join(folder, entry.name)) : [])])

describe("an archive", () => {
  it.live(
    "unpacks, or is refused as one; nothing is outside, and nothing but files, folders and links inside",
    () =>
      Effect.gen(function*() {
        const chance = new Chance(seed)
        const crashes: Array<string> = []
        let good = 0
        for (let at = 0; at < inputs; at++) {
          const outside = mkdtempSync(join(tmpdir(), "agent-job-fuzz-"))
          const file = join(outside, "archive")
          mkdirSync(join(outside, "root"))
          writeFileSync(join(outside, "victim"), "untouched")
          const bytes = archive(chance)
          writeFileSync(file, bytes)
          const exit = yield* Effect.exit(
            Effect.scoped(Effect.flatMap(openFolder(join(outside, "root")), (root) =>
              unpack(file, root, { entries: 100, bytes: 1024 ** 2, ratio: 100, ratioFromBytes: 1024 })))
          )
          const odd = below(join(outside, "root")).filter((path) =>
            ((found) =>
              !found.isFile() && !found.isDirectory() && !found.isSymbolicLink() ||
              (found.mode & (found.isDirectory() ? 0o5000 : 0o7000)) !== 0)(lstatSync(path))
          )
          const error = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.findErrorOption(exit.cause)) : undefined
          if (Exit.isSuccess(exit)) {
            good++
          }
          const broken = Exit.isFailure(exit) && !(error instanceof StageFailed && error.reason === "InvalidArchive")
            ? [Cause.pretty(exit.cause)]
            : []
          const escaped = readFileSync(join(outside, "victim"), "utf8") !== "untouched" || readdirSync(outside).length !== 3
            ? ["it wrote outside"]
            : []
          const trouble = [
            ...broken,
            ...escaped,
            ...odd.map((path) =>
              `${path} is no plain file`
            )
          ]
          if (trouble.length > 0) crashes.push(`${trouble.join()}: ${Buffer.from(bytes).toString("base64").slice(0, 2000)}`)
          rmSync(outside, { recursive: true })
        }
        tell("archives", seed, { of: "decoderInputs", inputs, failures: crashes.length }, `, ${good} good ones`)
        expect(crashes).toEqual([])
        expect(good).toBeGreaterThan(inputs / 200)
      }),
    timeout
  )
})

describe("a reply of the runner", () => {
  it("is read whole, in pieces, and with anything between", () => {
    const line = (chance: Chance) =>
      chance.one(["boot a", "taken 1", "started 1", "exit 1 0", "exit 1 255", "aborted 1", "exit 1 256", "exit 1 -1", "x", ""]) +
      chance.one(["", " ", "\r", "\0", " 1 2 3", "a".repeat(200)])
    feed(
      "the runner's replies",
      (chance) => [...noise(chance, 60), ...Buffer.from(`${line(chance)}\n${torn(chance, line(chance))}\n`), ...noise(chance, 60)],
      (bytes) => {
        let unfinished = ""
        for (let at = 0; at < bytes.length; at += 7) {
          const [rest, replies] = readReplies(unfinished, Uint8Array.from(bytes.slice(at, at + 7)))
          unfinished = rest
          if (rest.length > 1000) throw new Error("it keeps more and more")
          for (
            const { code } of replies as ReadonlyArray<{ readonly code?: number }>
          ) if (code !== undefined && !(code >= 0 && code <= 255)) throw new Error(`an impossible exit code, ${code}`)
        }
      },
      many
    )
  }, timeout)
})

const plan = {
  format_version: "1.2",
  applyable: true,
  resource_changes: [
    { mode: "managed", address: "a.b", change: { actions: ["create"], before: null, after: {} } },
    { mode: "data", change: { actions: ["read"] } }
  ],
  resource_drift: [{ change: { actions: ["update"] } }],
  output_changes: { o: { actions: ["delete"] } },
  configuration: { root_module: { variables: { region: { default: "eu" } } } }
}
const event = { type: "apply_complete", hook: { action: "create", resource: { addr: "a.b" }, id_key: "id", id_value: "x" } }

describe("the engine's JSON", () => {
  const json = (value: Parameters<typeof damaged>[1]) => (chance: Chance) => {
    const text = JSON.stringify(chance.often(0.7) ? damaged(chance, damaged(chance, value)) : value)
    return chance.often(0.3) ? torn(chance, text) : chance.often(0.01) ? "[".repeat(100_000) : text
  }
  it("of a plan is counted or not understood", () =>
    feed("plans", json(plan), (text) => {
      const counted = plannedChanges(text, true)
      if (
        Option.isSome(counted) && !Object.values(counted.value.changes).every((count) => Number.isInteger(count) && count >= 0)
      ) throw new Error("it counted what cannot be")
    }, many), timeout)
  it("of an event tells something or nothing, whatever the line is", () => feed("events", json(event), fromEvent, many), timeout)
  it("has lines in its log that tell something or nothing", () =>
    feed(
      "log lines",
      (chance) =>
        torn(
          chance,
          chance.one([
            "a.b[\"x\"]: Creation complete after 0s [id=1234]",
            "module.m.a.b: Destroying... [id=x]",
            "a.b: Modifications complete after 1m2s [id=[]]"
          ])
        ),
      fromLog,
      many
    ), timeout)
  it("has errors in its log that tell something or nothing", () =>
    feed(
      "errors in logs",
      (chance) =>
        torn(chance, "│ Error: Request cancelled\n│\n│   with a.b[\"x\"],\n│\n│ The ApplyResourceChange request was cancelled.\n"),
      fromErrors,
      many
    ), timeout)
})

describe("a values file", () => {
  const schema = valuesDocument() as JsonSchema
  it(
    "as data is taken or told what is wrong with it",
    () => feed("values", (chance) => damaged(chance, valid(chance, schema)), parseValues),
    timeout
  )
  it("as YAML is taken or told where it is wrong", () =>
    feed("values files", (chance) => {
      const text = chance.often(0.5)
        ? JSON.stringify(damaged(chance, valid(chance, schema)), null, 1)
        : "agent:\n  token: a\n  name: &a b\n  other: *a\ntask:\n  runner: {image: {tag: \"1\"}}\nlist:\n- 1\n- - 2\n"
      return chance.often(0.7)
        ? torn(chance, text)
        : text +
          chance.one([
            "&a [*a,*a]",
            "a: &a\n  <<: *a",
            "!!js/function x",
            "%YAML 9\n---",
            "? [a]\n: b",
            "\t",
            "\u0000",
            "a: b: c",
            "<<: [*x]",
            "--- a\n--- b",
            "{".repeat(2000),
            "- ".repeat(1000)
          ])
    }, (text) => {
      const layer = yamlLayer("values.yaml", text)
      if (layer._tag === "Success") parseLayers([layer.success])
    }, inputs / 4), timeout)
  it("that would be large by its anchors alone is refused soon", () => {
    const bomb = [
      "a0: &a0 [x,x,x,x,x,x,x,x,x,x]",
      ...Array.from({ length: 9 }, (_, at) => `a${at + 1}: &a${at + 1} [${Array.from({ length: 10 }, () => `*a${at}`).join(",")}]`)
    ].join("\n")
    feed("anchors", () => bomb, (text) => {
      const layer = yamlLayer("values.yaml", text)
      expect(Result.isFailure(layer) && layer.failure.map(({ message }) => message)).toEqual([
        expect.stringContaining("unfold to too much")
      ])
    }, 1)
  })
})

describe("an AgentTask", () => {
  const schema = Schema.toJsonSchemaDocument(AgentTask, { referencePolicy: () => undefined }).schema as JsonSchema
  const decode = Schema.decodeUnknownOption(AgentTask)
  it(
    "is taken or not, whatever it holds",
    () => feed("AgentTasks", (chance) => damaged(chance, damaged(chance, valid(chance, schema))), decode, many),
    timeout
  )
})
