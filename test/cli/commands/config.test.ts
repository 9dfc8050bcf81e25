// Values files, checked and explained on the command line.
import { afterAll, describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parse } from "yaml"
import { run } from "../program.ts"
import { ran } from "../typed.ts"

const directory = mkdtempSync(join(tmpdir(), "config-"))
afterAll(() => rmSync(directory, { recursive: true }))
const file = (name: string, text: string): string => {
  writeFileSync(join(directory, name), text)
  return join(directory, name)
}
const base = file(
  "base.yaml",
  "agent:\n  image: { tag: \"1.2\" }\n  token: s3cret\ntask:\n  worker:\n    extraEnv: { A: worker }\ncontroller:\n  resources: { limits: { cpu: 2 } }\n"
)
const top = file(
  "values.yaml",
  "agent:\n  image:\n    tag: \"1.3\"\nglobal: { extraEnv: { B: all } }\ncontroller:\n  resources:\n    limits: null\n"
)
const bad = file(
  "bad.yaml",
  "agent:\n  imag: {}\n  dataDir: data\ntask:\n  limits:\n    total: 0\n  runner:\n    image: { pullPolicy: Sometimes }\n  tolerations:\n    - effect: NoExecute\ncontroller:\n  dnsPolicy: None\n  podDisruptionBudget:\n    enabled: true\n"
)
const late = file("late.yaml", "task:\n  runner:\n    resources:\n      requests:\n        cpu: 9\n")

/** Returns the text without the directory, and with even gaps between columns, because their width depends on the directory's length. */
const plain = (text: string): string => text.replaceAll(`${directory}/`, "").replaceAll(/(?<=\S) {2,}/gu, "   ")
const config = (...args: ReadonlyArray<string>) =>
  Effect.map(ran({}, "config", ...args), ({ code, error, out }) => ({ code, out: plain(out), error: plain(error) }))
const explained = (...args: ReadonlyArray<string>) => config("explain", "-f", base, "-f", top, ...args)

describe("agent-job config explain", () => {
  it.effect("says the value, where it is set, and what that overrode", () =>
    Effect.gen(function*() {
      expect(yield* explained("agent.image.tag")).toEqual({
        code: 0,
        error: "",
        out: [
          "agent.image.tag: Tag of the image of controller and worker; empty: the chart's application version.",
          "",
          "VALUE   SET BY   STATE",
          `"1.3"   values.yaml:3:5   holds`,
          `"1.2"   base.yaml:2:12   overridden`,
          `""   the defaults   overridden`,
          "",
          `In effect: "1.3".`,
          ""
        ].join("\n")
      })
    }))
  it.effect("says which key is in effect instead of an empty one", () =>
    Effect.gen(function*() {
      expect((yield* explained("task.worker.image.tag")).out).toContain(`\nIn effect: "1.3", from agent.image.tag (values.yaml:3:5).\n`)
      expect((yield* explained("task.worker.extraEnv")).out).toContain(
        `\nIn effect: {"B":"all","A":"worker"}, from task.worker.extraEnv (base.yaml:6:5) over global.extraEnv (values.yaml:4:11).\n`
      )
    }))
  it.effect("says that a key around it takes it away", () =>
    Effect.gen(function*() {
      expect((yield* explained("controller.resources.limits.cpu")).out.split("\n").slice(2, 6)).toEqual([
        "VALUE   SET BY   STATE",
        "null   values.yaml:7:5   takes away controller.resources.limits",
        "2   base.yaml:8:26   overridden",
        `"500m"   the defaults   overridden`
      ])
    }))
  it.effect("says what is left of a map that is taken away: nothing, or its keys' defaults", () =>
    Effect.gen(function*() {
      const none = file("none.yaml", "controller:\n  resources:\n  podDisruptionBudget:\n")
      const lines = (key: string) => Effect.map(config("explain", "-f", none, key), ({ out }) => out.trimEnd().split("\n").slice(3))
      expect(yield* lines("controller.resources")).toEqual([
        "null   none.yaml:2:3   takes it away",
        expect.stringMatching(/ the defaults {3}overridden$/u)
      ])
      expect(yield* lines("controller.podDisruptionBudget.minAvailable")).toEqual([
        "null   none.yaml:3:3   takes away controller.podDisruptionBudget",
        "1   the defaults   holds"
      ])
    }))
  it.effect("lists all that files set, without tokens", () =>
    Effect.gen(function*() {
      const { out } = yield* explained()
      expect(out.split("\n").map((line) => line.split(/ {2,}/u))).toEqual([
        ["KEY", "VALUE", "SET BY"],
        ["agent.image.tag", `"1.3"`, "values.yaml:3:5"],
        ["agent.token", `"(not shown)"`, "base.yaml:3:3"],
        ["task.worker.extraEnv.A", `"worker"`, "base.yaml:6:17"],
        ["global.extraEnv.B", `"all"`, "values.yaml:4:23"],
        ["controller.resources.limits", "null", "values.yaml:7:5"],
        [""]
      ])
    }))
  it.effect("has no key where none is asked for", () =>
    Effect.gen(function*() {
      expect((yield* config("explain")).out).toBe("No file sets anything; the README has the defaults.\n")
      expect((yield* config("explain", "task")).out).toContain("No file sets anything in task; the README has the defaults.\n")
      expect(JSON.parse((yield* config("explain", "-o", "json")).out)).toEqual({ keys: [] })
    }))
  it.effect("says the same to programs", () =>
    Effect.gen(function*() {
      const json: unknown = JSON.parse((yield* explained("agent.image.tag", "-o", "json")).out)
      expect(json).toEqual({
        key: "agent.image.tag",
        description: expect.stringContaining("Tag"),
        value: "1.3",
        effective: { value: "1.3", from: [{ key: "agent.image.tag", layer: "values.yaml", line: 3, column: 5, value: "1.3" }] },
        history: [
          { layer: "values.yaml", line: 3, column: 5, value: "1.3" },
          { layer: "base.yaml", line: 2, column: 12, value: "1.2" },
          { layer: "defaults", value: "" }
        ]
      })
      expect(parse((yield* explained("task", "-o", "yaml")).out)).toMatchObject({
        key: "task",
        keys: [{ key: "task.worker.extraEnv.A", value: "worker" }]
      })
    }))
  it.effect("names the nearest key for one that is none, with exit code 2", () =>
    Effect.gen(function*() {
      expect(yield* explained("task.worker.imag")).toEqual({
        code: 2,
        out: "",
        error: "error: There is no key task.worker.imag; did you mean task.worker.image?\n"
      })
    }))
})

describe("agent-job config validate", () => {
  it.effect("lists all unknown keys, wrong values and contradictions at once, each with file, line and column, and exits with 2", () =>
    Effect.gen(function*() {
      expect(yield* config("validate", "-f", base, "-f", bad)).toEqual({
        code: 2,
        out: "",
        error: [
          "error: base.yaml, bad.yaml cannot be used; correct this and try again:",
          `  bad.yaml:2:3 agent.imag: unknown key, did you mean "image"?`,
          "  bad.yaml:3:3 agent.dataDir: must be an absolute path",
          "  bad.yaml:6:5 task.limits.total: must be a value greater than or equal to 1",
          `  bad.yaml:8:14 task.runner.image.pullPolicy: must be "Always", "IfNotPresent" or "Never"`,
          "  bad.yaml:10:7 task.tolerations[0]: needs a key, or the operator Exists",
          "  bad.yaml:11:1 controller.dnsConfig: needs nameservers, since controller.dnsPolicy is None",
          "  bad.yaml:13:3 controller.podDisruptionBudget.minAvailable: is 1 of 1, so that no node with a controller could ever be drained; give fewer, or more controller.replicas",
          ""
        ].join("\n")
      })
    }))
  it.effect("tells what Kubernetes would refuse only later, for programs too", () =>
    Effect.gen(function*() {
      const { code, error, out } = yield* config("validate", "-f", late, "-o", "json")
      expect([code, JSON.parse(out)]).toEqual([2, {
        valid: false,
        files: ["late.yaml"],
        faults: [{
          file: "late.yaml",
          line: 3,
          column: 5,
          path: "task.runner.resources.limits.cpu",
          message: "4000m is less than the request of 9; lower task.runner.resources.requests.cpu too"
        }]
      }])
      expect(error).toContain("late.yaml:3:5 task.runner.resources.limits.cpu: 4000m is less than the request of 9")
    }))
  it.effect("says what was checked when all is well", () =>
    Effect.gen(function*() {
      expect(yield* config("validate", "-f", base)).toEqual({
        code: 0,
        error: "",
        out:
          "base.yaml: 4 keys\nAll good: every key is known and has a value that it may have, and none contradicts another. What is inside affinity, sidecars and volumes, which are as in a Pod, the API server checks.\n"
      })
    }))
  it.effect("names what null takes away, since a heading with nothing under it is null too", () =>
    Effect.gen(function*() {
      const bare = file("bare.yaml", "controller:\n  nodeSelector:\ntask:\n  job:\n  podSecurityContext:\n    # fsGroup: 5\n")
      const { code, out } = yield* config("validate", "-f", top, "-f", bare)
      expect([code, out.split("\n").slice(2, 5)]).toEqual([0, [
        "Null, which is also a key with nothing after it, takes these away; leave out what is to keep its default:",
        "  values.yaml:7:5 controller.resources.limits",
        "  bare.yaml:5:3 task.podSecurityContext"
      ]])
      expect(out).toContain("\nAll good: ")
      expect(JSON.parse((yield* config("validate", "-f", bare, "-o", "json")).out)).toEqual({
        valid: true,
        files: ["bare.yaml"],
        faults: [],
        takenAway: [{ file: "bare.yaml", line: 5, column: 3, path: "task.podSecurityContext" }]
      })
    }))
  it.effect("tells people the first 20 faults and how many more there are, and programs all", () =>
    Effect.gen(function*() {
      const many = file("many.yaml", Array.from({ length: 22 }, (_, index) => `strange${index}: 1\n`).join(""))
      const { code, error, out } = yield* config("validate", "-f", many, "-o", "json")
      const lines = error.trimEnd().split("\n")
      expect([code, lines.length, lines.at(-2), lines.at(-1)]).toEqual([
        2,
        22,
        expect.stringContaining("many.yaml:20:1 strange19: unknown key"),
        "  and 2 more"
      ])
      expect(JSON.parse(out)).toMatchObject({ faults: expect.toSatisfy((_) => _.length === 22) })
    }))
  it.effect("names a file that is not there", () =>
    Effect.gen(function*() {
      expect((yield* config("validate", "-f", join(directory, "nope.yaml"))).error).toContain(
        "nope.yaml cannot be read: no such file or directory"
      )
    }))
})

// A process of its own, in which the parser's regular expressions run out of stack before its functions do.
it.live("says in words that a values file is nested too deeply", () =>
  Effect.gen(function*() {
    const { code, error } = yield* run(["config", "validate", "-f", file("deep.yaml", `a: ${"[".repeat(5000)}`)])
    expect([code, error]).toEqual([2, expect.stringMatching(/deep\.yaml:1:\d+ is nested too deeply\n$/u)])
  }).pipe(Effect.scoped))
