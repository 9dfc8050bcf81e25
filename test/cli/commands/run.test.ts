// What `agent-job run` prints for a program, and how it ends, also for scripts that ask whether a plan has changes.
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { parse, parseAllDocuments } from "yaml"
import { directory, failed, serve, succeeded, userToken } from "../../server/live-server.ts"
import { type Play, playing, quickstart } from "../fake-agent.ts"
import { ran } from "../typed.ts"

const unchanged: Play = {
  plan: { log: ["No changes.\n"], result: succeeded({ changes: { add: 0, change: 0, destroy: 0 }, hasChanges: false }) }
}
const failing: Play = { plan: { log: ["Error: Unsupported argument\n"], result: failed("tofu ended with exit code 1.") } }

/** Runs the example on a server of its own, with an agent that plays `play`. */
const running = Effect.fnUntraced(function*(play: Play, ...args: ReadonlyArray<string>) {
  const url = yield* Effect.flatMap(directory, serve)
  yield* playing(url, play)
  return yield* ran({ AGENT_JOB_URL: url, AGENT_JOB_TOKEN: userToken }, "run", "examples/quickstart", ...args)
})

/** Replaces what differs from run to run: ids, times, the server's port and digests. */
const settled = (document: unknown): unknown =>
  JSON.parse(
    JSON.stringify(document)
      .replaceAll(/\b[a-z]+-[a-z0-9]{16}\b/gu, "ID")
      .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/gu, "TIME")
      .replaceAll(/http:\/\/127\.0\.0\.1:\d+[^"]*/gu, "URL")
      .replaceAll(/[0-9a-f]{64}/gu, "DIGEST")
  )

describe("agent-job run for a program", () => {
  it.live.each<{ given: string; play: Play; flags: ReadonlyArray<string>; code: number; status: string }>([
    { given: "is applied", play: quickstart, flags: ["--auto-approve"], code: 0, status: "applied" },
    { given: "is only planned", play: quickstart, flags: ["--plan-only"], code: 0, status: "planned_and_finished" },
    { given: "waits for a decision", play: quickstart, flags: [], code: 0, status: "planned" },
    { given: "fails", play: failing, flags: [], code: 1, status: "errored" }
  ])(
    "prints one document alone on stdout, the same as YAML as it is as JSON: of a run that $given",
    ({ code, flags, play, status }) =>
      Effect.gen(function*() {
        const [json, yaml] = [yield* running(play, ...flags, "-o", "json"), yield* running(play, ...flags, "-o", "yaml")]
        expect([json.code, yaml.code]).toEqual([code, code])
        expect(parseAllDocuments(yaml.out)).toHaveLength(1)
        const document: unknown = parse(yaml.out)
        expect(settled(document)).toEqual(settled(JSON.parse(json.out)))
        expect(document).toMatchObject({ run: { status, workspace: "quickstart" } })
        expect(yaml.out).toMatch(/^run:\n {2}id: run-/u)
        expect(yaml.error).toContain("Started run-")
        expect(json.error).toMatch(/Initializing|Unsupported argument/u) // the log
      })
  )
})

describe("agent-job run --plan-only", () => {
  const asked = ["--plan-only", "--detailed-exitcode"]

  it.live.each<{ given: string; play: Play; flags: ReadonlyArray<string>; code: number }>([
    { given: "a plan with changes, if it is asked for that", play: quickstart, flags: asked, code: 7 },
    { given: "a plan with changes, otherwise", play: quickstart, flags: ["--plan-only"], code: 0 },
    { given: "a plan without changes", play: unchanged, flags: asked, code: 0 },
    { given: "a plan that failed", play: failing, flags: asked, code: 1 }
  ])("ends with $code for $given", ({ code, flags, play }) => Effect.map(running(play, ...flags), (ended) => expect(ended.code).toBe(code)))

  it.live("does not call changes an error", () =>
    Effect.gen(function*() {
      const { error, out } = yield* running(quickstart, ...asked, "-o", "json")
      expect(JSON.parse(out)).toMatchObject({ run: { status: "planned_and_finished", hasChanges: true } })
      expect(error).not.toContain("error")
    }))
})
