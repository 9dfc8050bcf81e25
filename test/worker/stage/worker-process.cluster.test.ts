// How the worker's process ends, with and without SIGTERM: the Job goes by its exit code.
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { join } from "node:path"
import { podEnvironment } from "../pod-settings.ts"
import { pod } from "../pod.ts"

const spec = { workspace: "demo", stage: "plan", source: { inline: { "main.tf": "" } } }

/** An engine that is busy until it is interrupted. */
const busy = `#!/bin/sh
[ "$1" = version ] && echo '{"terraform_version": "9.9.9"}' && exit
trap 'exit 1' INT
echo waiting
while :; do sleep 0.1; done
`
/** An engine that is busy until it is interrupted, and ends in order a second later. */
const orderly = busy.replace("trap 'exit 1' INT", "trap 'echo interrupted; sleep 1; exit 1' INT; trap 'echo terminated; exit 1' TERM")
/** An engine that has nothing to do. */
const idle = `#!/bin/sh
[ "$1" = version ] && echo '{"terraform_version": "9.9.9"}'
[ "$1" = plan ] && echo plan >"$TF_DATA_DIR/plan.tfplan"
exit 0
`

interface End {
  readonly code: number | null
  readonly output: string
  readonly status: Record<string, unknown>
}

type OnOutput = (output: string, kill: (signal: NodeJS.Signals) => void) => void

/** Runs the worker's process to its end; `onOutput` may send it signals. It has the Pod's own time to end, unless that is given. */
const processOf = Effect.fnUntraced(
  function*(engine: string, status: object, onOutput: OnOutput = () => {}, graceSeconds?: number) {
    const here = yield* pod({ tofu: engine })
    const env = podEnvironment(here.dataDirectory, here.privateDirectory, {
      AGENT_JOB_TERMINATION_LOG: join(here.privateDirectory, "termination-log"),
      AGENT_JOB_READY_PORT: "0",
      ...(graceSeconds !== undefined && { AGENT_JOB_GRACE_SECONDS: String(graceSeconds) })
    })
    return yield* Effect.callback<End>((resume) => {
      const child = spawn(process.execPath, [
        "--disable-warning=ExperimentalWarning",
        new URL("../worker-process.ts", import.meta.url).pathname,
        JSON.stringify({ env, spec, status })
      ], { stdio: ["ignore", "pipe", "inherit"] })
      let output = ""
      child.stdout.on("data", (chunk) => {
        output += chunk
        onOutput(output, (signal) => child.kill(signal))
      })
      child.on("close", (code) => resume(Effect.succeed({ code, output, status: JSON.parse(output.trim().split("\n").at(-1) ?? "{}") })))
      return Effect.sync(() => child.kill("SIGKILL"))
    })
  }
)

describe("the worker's process", () => {
  it.live("exits with 0 after a success", () =>
    Effect.gen(function*() {
      const { code, output, status } = yield* processOf(idle, { phase: "Starting" })
      expect(status, output).toMatchObject({ phase: "Succeeded" })
      expect(code).toBe(0)
    }))

  it.live.each([
    { given: "another Pod has the task", podUid: "other" },
    { given: "the kubelet started its container once before in the same Pod", podUid: "pod-uid" }
  ])("exits with 75 when $given, with no engine started and the claim as it was", ({ podUid }) =>
    Effect.gen(function*() {
      const claim = { podUid, nonce: "n", epoch: 0, at: "2026-01-01T00:00:00Z" }
      const { code, output, status } = yield* processOf(idle, { phase: "Running", claim })
      expect(code).toBe(75)
      expect(status).toEqual({ phase: "Running", claim })
      expect(output).not.toContain("Engine:")
    }))

  it.live("exits with 1 after SIGTERM, however often it comes, with its result written", () =>
    Effect.gen(function*() {
      const { code, output, status } = yield* processOf(busy, { phase: "Starting" }, (seen, kill) =>
        seen.includes("waiting\n") && (kill("SIGTERM"), kill("SIGTERM")))
      expect(status, output).toMatchObject({ phase: "Failed", reason: "Evicted", result: { exitCode: 1 } })
      expect(code).toBe(1)
    }))

  it.live("that stands still until a harder signal is due hears first that its engine has ended in order", () =>
    Effect.gen(function*() {
      let stood = false
      const { output, status } = yield* processOf(orderly, { phase: "Starting" }, (seen, kill) => {
        if (seen.includes("waiting\n")) kill("SIGTERM")
        if (!seen.includes("interrupted\n") || stood) return
        stood = true
        kill("SIGSTOP")
        setTimeout(kill, 5000, "SIGCONT") // of the eight seconds, SIGTERM is due after four
      }, 8)
      expect(output).not.toContain("terminated")
      expect(status, output).toMatchObject({ phase: "Failed", reason: "Evicted", result: { exitCode: 1 } })
      expect(stood).toBe(true)
    }))
})
