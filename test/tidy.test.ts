// Checks of the source itself: imports point down, headers are there, nothing is left over, and the documents name only what exists.
import { describe, expect, it } from "@effect/vitest"
import { existsSync, globSync, readFileSync } from "node:fs"
import { dirname, join, normalize } from "node:path"
import { reasons } from "../src/schema/task/reason.ts"

const files = globSync("src/**/*.ts").sort()
const tests = globSync("test/**/*.ts").sort()
const read = (file: string): string => readFileSync(file, "utf8")
const lines = (pattern: RegExp, all: ReadonlyArray<string>): ReadonlyArray<string> =>
  all.flatMap((file) => read(file).split("\n").flatMap((line, index) => pattern.test(line) ? [`${file}:${index + 1}: ${line.trim()}`] : []))

/** The folders that each folder may import, besides itself. */
const below: Readonly<Record<string, ReadonlyArray<string>>> = {
  schema: [],
  core: ["schema"],
  http: ["schema"],
  kubernetes: ["schema", "http"],
  queue: [],
  controller: ["schema", "core", "http", "kubernetes", "queue"],
  server: ["schema", "core", "http"],
  worker: ["schema", "core", "http", "kubernetes"],
  cli: ["schema", "core", "http", "kubernetes", "controller", "server", "worker"],
  generate: ["schema", "core", "server", "cli"],
  "main.ts": ["cli"]
}

const folderOf = (file: string): string => file.split("/")[1] ?? ""
const imports = (file: string): ReadonlyArray<string> =>
  [...read(file).matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/gu)].map(([, target]) => target ?? "")
const localImports = (file: string): ReadonlyArray<string> =>
  imports(file).filter((_) => _.startsWith(".")).map((target) => normalize(join(dirname(file), target)))

describe("the source", () => {
  it("imports only downwards", () => {
    const wrong = files.flatMap((file) =>
      localImports(file).filter((target) =>
        target.startsWith("src/") && folderOf(target) !== folderOf(file) && !below[folderOf(file)]?.includes(folderOf(target))
      )
        .map((target) => `${file} imports ${target}`)
    )
    expect(wrong).toEqual([])
  })

  it("names AgentTasks below the programs only in their kind and the write of their status", () => {
    const connecting = files.filter((file) => ["http", "kubernetes", "queue"].includes(folderOf(file)))
    expect(connecting.filter((file) => /agentTask/iu.test(read(file)))).toEqual([
      "src/kubernetes/kinds.ts",
      "src/kubernetes/write-status.ts"
    ])
  })

  it("has no Node API and no Effect value in schema and core", () => {
    const effects = /import \{[^}]*\b(?:Clock|Random|Layer|FileSystem|Fiber|Queue|Stream|Schedule)\b[^}]*\} from "effect"/u
    const inner = files.filter((file) => ["schema", "core"].includes(folderOf(file)))
    expect(inner.flatMap((file) => imports(file).filter((_) => _.startsWith("node:")).map((_) => `${file} imports ${_}`))).toEqual([])
    expect(lines(effects, inner)).toEqual([])
    expect(lines(/\bDate\.now\(|\bnew Date\(\)|Math\.random|\bprocess\./u, inner)).toEqual([])
  })

  /** Returns each circle that following the `targets` of these nodes leads into. */
  const circles = (nodes: ReadonlyArray<string>, targets: (node: string) => ReadonlyArray<string>): ReadonlyArray<string> => {
    const done = new Set<string>()
    const found: Array<string> = []
    const walk = (node: string, path: ReadonlyArray<string>): void => {
      if (path.includes(node)) return void found.push([...path.slice(path.indexOf(node)), node].join(" → "))
      if (done.has(node)) return
      for (const target of targets(node)) walk(target, [...path, node])
      done.add(node)
    }
    for (const node of nodes) walk(node, [])
    return found
  }

  it("has no cycle of value imports", () => {
    const values = (file: string) =>
      [...read(file).matchAll(/^import (?!type)[^"]*"(\.[^"]+)"/gmu)].map(([, target]) => normalize(join(dirname(file), target ?? "")))
    expect(circles(files, values)).toEqual([])
  })

  it("has no folders that import each other, neither values nor types", () => {
    const imported = (folder: string) =>
      files.filter((file) => dirname(file) === folder).flatMap(localImports).filter((target) => target.startsWith("src/")).map(dirname)
        .filter((target) => target !== folder)
    expect(circles([...new Set(files.map(dirname))], imported)).toEqual([])
  })

  it("begins every file with a header of at most three lines", () => {
    const header = (file: string) => read(file).split("\n").findIndex((line) => !line.startsWith("//"))
    expect(files.filter((file) => header(file) < 1 || header(file) > 3)).toEqual([])
  })

  it("names only modules that exist in its headers", () => {
    const named = (file: string) =>
      [
        ...read(file).split("\n").filter((line) => line.startsWith("//")).slice(0, 3).join(" ")
          .matchAll(/\b((?:schema|core|kubernetes|queue|http|controller|server|worker|cli|generate|test)\/[a-z-]+(?:\/[a-z-]+)*)/gu)
      ].map(([, name]) => name ?? "")
    const exists = (name: string): boolean => globSync([`src/${name}`, `src/${name}.*`, name, `${name}.*`]).length > 0
    expect(files.flatMap((file) => named(file).filter((name) => !exists(name)).map((name) => `${file} names ${name}`))).toEqual([])
  })

  it("is imported by each module, and from each folder, that a header names as its user, and by no other where it says alone", () => {
    const header = (file: string) => read(file).split("\n").filter((line) => line.startsWith("//")).slice(0, 3).join(" ")
    const uses = new Map(files.map((file) => [file, localImports(file)] as const))
    const clauses = (file: string) =>
      [
        ...header(file).matchAll(
          /\b(?:used|called|run|started|fed|read|made|told|taken|written|carried out) (?:by|in) (.*?)(?:;|\.(?: |$)|$)/giu
        )
      ]
        .map(([, by]) => by ?? "")
    const paths = (clause: string) => (clause.match(/\b[a-z]+(?:\/[a-z-]+)+/gu) ?? []).map((name) => `src/${name}`)
    const named = (clause: string) => paths(clause).map((path) => `${path}.ts`).filter((user) => uses.has(user))
    const folders = (clause: string) =>
      paths(clause).filter((path) => !uses.has(`${path}.ts`)).map((path) => `${path}/`)
        .filter((folder) => files.some((user) => user.startsWith(folder)))
    const wrong = files.flatMap((file) =>
      clauses(file).flatMap((clause) => [
        ...named(clause).filter((user) => uses.get(user)?.includes(file) === false).map((user) => `${user} does not import ${file}`),
        ...folders(clause).filter((folder) => !files.some((user) => user.startsWith(folder) && uses.get(user)?.includes(file) === true))
          .map((folder) => `nothing in ${folder} imports ${file}`),
        ...files.filter((user) =>
          named(clause).length > 0 && / alone\b/u.test(clause) && uses.get(user)?.includes(file) === true && !named(clause).includes(user)
        ).map(
          (user) => `${user} imports ${file} too`
        )
      ])
    )
    expect(wrong).toEqual([])
  })

  it("gives the Pods of tasks and of the server the environment variables that their programs read, under the same names", () => {
    const namedIn = (...folders: ReadonlyArray<string>) =>
      new Set(
        files.filter((file) => folders.some((folder) => file.startsWith(folder)))
          .flatMap((file) => read(file).match(/(?<=["`])AGENT_JOB_\w+/gu) ?? [])
      )
    const haveDefaults = ["TERMINATION_LOG", "READY_PORT", "POOL_PATIENCE", "STATE_PATIENCE", "RUNNER_PATIENCE"]
    const given = [...namedIn("src/core/"), ...haveDefaults.map((name) => `AGENT_JOB_${name}`)]
    expect(given.sort()).toEqual([...namedIn("src/worker/", "src/http/", "src/cli/commands/server.ts")].sort())
  })

  it("gives each reason that it explains", () => {
    const given = files.filter((file) => file !== "src/schema/task/reason.ts").map(read).join("\n")
    expect(Object.keys(reasons).filter((reason) => !given.includes(`"${reason}"`))).toEqual([])
  })

  it("has no escape from its types", () => {
    expect(lines(/(?:: |<|\bas )any(?=\s*(?:[;,)>\]=|&]|\/\/|$))|@ts-(?:ignore|expect-error|nocheck)/u, files)).toEqual([])
  })

  it("has no file whose name says nothing", () => {
    expect(files.filter((file) => /(?:^|\/)(?:utils?|helpers?|common|misc|shared|types)(?:\.ts|\/)/u.test(file))).toEqual([])
  })
})

describe("what is left over", () => {
  const marks = new RegExp(`\\b(?:${["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"].join("|")})\\b`, "u")
  it("is nothing: no marks for later", () => expect(lines(marks, [...files, ...tests])).toEqual([]))
  it("is no test that is switched off", () =>
    expect(lines(/\b(?:it|test|describe)\.(?:skip|only|todo|fails)\b/u, tests.filter((_) => _ !== "test/tidy.test.ts"))).toEqual([]))
})

describe("ARCHITECTURE.md", () => {
  const text = read("ARCHITECTURE.md")
  it("names only what exists", () => {
    const paths = [...text.matchAll(/`((?:src|test|docs|kustomize|schemas|images|scripts|examples)(?:\/[^`*]*)?)`/gu)].map(([, path]) =>
      path ?? ""
    )
    expect(paths.filter((path) => !existsSync(path))).toEqual([])
  })
  it("has a word on every folder of src", () => {
    expect(Object.keys(below).filter((folder) => !text.includes(`src/${folder}`))).toEqual([])
  })
  it("names all folders inside a part of src, in the order of their dependencies", () => {
    const inside = text.split(/\n(?=- \*\*| {2}- )/u).flatMap((entry) => {
      const [, part, list] = /^- \*\*`src\/(\w+)`\*\*:.*Inside:(.*)/su.exec(entry) ?? /^ {2}- (\w+):(.*)/su.exec(entry) ?? []
      const folders = [...list?.matchAll(/`([^`]+)`/gu) ?? []].map(([, name]) => `src/${part}/${name}`).filter((folder) =>
        existsSync(folder)
      )
      return folders.length === 0 ? [] : [{ part, folders }]
    })
    const parts = ["schema", "core", "controller", "server", "worker"]
    expect(inside.map(({ part }) => part)).toEqual(parts)
    const there = new Set(files.map(dirname).filter((folder) => parts.some((part) => folder.startsWith(`src/${part}/`))))
    expect(inside.flatMap(({ folders }) => folders).sort()).toEqual([...there].sort())
    const upwards = inside.flatMap(({ folders }) =>
      files.filter((file) => folders.includes(dirname(file))).flatMap((file) =>
        localImports(file).filter((target) => folders.indexOf(dirname(target)) > folders.indexOf(dirname(file)))
          .map((target) => `${file} imports ${target}`)
      )
    )
    expect(upwards).toEqual([])
  })
  it("stays under 200 lines", () => expect(text.split("\n").length).toBeLessThan(200))
})

describe("CHANGELOG.md", () => {
  it("says each thing once: a merge keeps both versions of a line", () => {
    const begins = read("CHANGELOG.md").split("\n").filter((line) => line.startsWith("- ")).map((line) => line.slice(0, 40))
    expect(begins.filter((begin, index) => begins.indexOf(begin) !== index)).toEqual([])
  })
})
