// The real worker is killed at each of its steps, and its container is started again in the same Pod.
// The engine is a script that counts its starts in a file outside the Pod.
import { expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { agentTasks } from "../../src/kubernetes/kinds.ts"
import { createTask, getTask, TaskCluster, Tasks } from "../controller/task-cluster.ts"
import { temporaryFolder } from "../temporary-folder.ts"
import { podEnvironment } from "../worker/pod-settings.ts"
import { pod } from "../worker/pod.ts"
import { faultyApi } from "./faulty-api.ts"
import type { Rule } from "./rule.ts"

const program = fileURLToPath(new URL("./worker-program.ts", import.meta.url))

/** Returns an engine whose plan appends a line to `counter` and takes so many seconds. */
const engine = (counter: string, seconds: number) =>
  `#!/bin/sh
case $1 in
version) echo '{"terraform_version": "9.9.9"}' ;;
plan) echo started >>${counter}; sleep ${seconds}; echo plan >"$TF_DATA_DIR/plan.tfplan" ;;
esac
exit 0
`

const claimOf: Rule["match"] = { verb: "update", resource: agentTasks.plural, subresource: "status" }

interface Death {
  readonly when: string
  /** The rule whose fault kills the worker. Without one, the start of the engine does. */
  readonly rule?: Rule
  readonly starts: number
  readonly again: number
  readonly phase: string
}

const deaths: ReadonlyArray<Death> = [
  { when: "before its claim arrives", rule: { match: claimOf, fault: { does: "dropBefore" } }, starts: 1, again: 0, phase: "Succeeded" },
  {
    when: "after its claim, before it hears of it",
    rule: { match: claimOf, fault: { does: "dropAfter" } },
    starts: 0,
    again: 75,
    phase: "Running"
  },
  { when: "while its engine runs", starts: 1, again: 75, phase: "Running" },
  {
    when: "before its result arrives",
    rule: { match: claimOf, after: 1, fault: { does: "dropBefore" } },
    starts: 1,
    again: 75,
    phase: "Running"
  },
  {
    when: "after its result, before it hears of it",
    rule: { match: claimOf, after: 1, fault: { does: "dropAfter" } },
    starts: 1,
    again: 75,
    phase: "Succeeded"
  }
]

layer(TaskCluster, { excludeTestServices: true, timeout: "5 minutes" })("a worker that is killed", (it) => {
  it.effect.each(deaths.map((death, at) => ({ ...death, at })))(
    "F18 $when runs its engine $starts times, and exits with $again when its container is started again",
    ({ again, at, phase, rule, starts }) =>
      Effect.gen(function*() {
        const { namespace } = yield* Tasks
        const api = yield* faultyApi()
        const name = `dies-${at}`
        const { metadata: { uid } } = yield* createTask(name)
        const outside = yield* temporaryFolder("faults")
        const counter = join(outside, "starts")
        const count = () => existsSync(counter) ? readFileSync(counter, "utf8").split("\n").length - 1 : 0
        const here = yield* pod({ tofu: engine(counter, rule === undefined ? 5 : 1) })
        const env = podEnvironment(here.dataDirectory, here.privateDirectory, {
          AGENT_JOB_NAMESPACE: namespace,
          AGENT_JOB_TASK: name,
          AGENT_JOB_TASK_UID: uid,
          AGENT_JOB_TERMINATION_LOG: join(here.privateDirectory, "termination-log"),
          AGENT_JOB_READY_PORT: "0",
          KUBECONFIG: api.kubeconfig
        })
        let child: ChildProcess | undefined
        const run = Effect.promise(async () => {
          child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", program, JSON.stringify(env)], {
            env: { PATH: process.env.PATH, NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE },
            stdio: "ignore"
          })
          await once(child, "exit")
          return child.exitCode ?? child.signalCode
        })
        const kill = () => void child?.kill("SIGKILL")
        const started = Effect.repeat(Effect.sleep("20 millis"), { until: () => count() > 0 })
        api.onDrop = kill
        if (rule === undefined) yield* Effect.forkChild(Effect.andThen(started, Effect.sync(kill)))
        else yield* api.rules(rule)
        expect(yield* run).toBe("SIGKILL")
        yield* api.rules()
        expect(yield* run).toBe(again)
        expect([count(), (yield* getTask(name)).status.phase]).toEqual([starts, phase])
      }).pipe(Effect.scoped)
  )
})
