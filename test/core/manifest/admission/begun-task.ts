// A task with its Job and Pod, what its worker may write with its token, and how a policy refuses.
// Used by the tests of the admission policies beside it.
import { layer, type Vitest } from "@effect/vitest"
import { Effect, Layer, Schedule } from "effect"
import type { ResolvedConfig } from "../../../../src/core/resolve/resolve.ts"
import { accountOf } from "../../../../src/core/task/identity.ts"
import { claimed } from "../../../../src/core/task/status.ts"
import { Kubernetes } from "../../../../src/kubernetes/client.ts"
import type { KubernetesError } from "../../../../src/kubernetes/errors.ts"
import { agentTasks } from "../../../../src/kubernetes/kinds.ts"
import { Uid, WorkspaceName } from "../../../../src/schema/names.ts"
import type { AgentTask, AgentTaskStatus } from "../../../../src/schema/task/agent-task.ts"
import type { StageResult } from "../../../../src/schema/task/stage-result.ts"
import { neverStops } from "../../../worker/never-stops.ts"
import { podSettings } from "../../../worker/pod-settings.ts"
import { type Client, createTask, Installation, installation, launched, tasks, tokenOf, userOf } from "../installed.ts"

export const at = "2026-01-01T00:00:00Z"
export const result: StageResult = { outcome: "failed", reason: "ExitCode", message: "tofu plan failed.", exitCode: 1, finishedAt: at }

/** The accounts that tasks may have, each with its values. What the policies say of one, they say of each. */
const accounts = [
  { account: "the account of all tasks", identities: [] },
  { account: "the account of an identity", identities: [{ name: "demo-plan", workspaces: ["de*"], stages: ["plan"] }] }
]

/** Returns the account of the tasks that these tests create. */
export const accountHere = (config: ResolvedConfig): string => accountOf({ workspace: WorkspaceName.make("demo"), stage: "plan" }, config)

/** Runs the tests in an installation with policies for each of these accounts. */
export const forEachAccount = (
  values: { readonly tokenRequesters?: ReadonlyArray<string> },
  tests: (it: Vitest.MethodsNonLive<Installation | Kubernetes>) => void
): void =>
  accounts.forEach(({ account, identities }) =>
    layer(installation({ admissionPolicies: { enabled: true, ...values }, task: { identities } }), {
      timeout: 300_000,
      excludeTestServices: true
    })(`the API server, with ${account},`, tests)
  )

/** Creates a task with its Job and Pod, and returns them with the client that the task's worker has. */
export const begun = Effect.fnUntraced(function*(name: string, basename?: string) {
  const { config, withToken } = yield* Installation
  const task = yield* createTask(name)
  const { metadata: pod } = yield* launched(task, basename)
  const token = yield* tokenOf(config.taskNamespace, accountOf(task.spec, config), pod.name)
  return { task, pod, token, worker: yield* withToken(token) }
})
type Begun = Effect.Success<ReturnType<typeof begun>>

export const claimBy = ({ pod, task }: Begun, status: AgentTaskStatus = task.status) =>
  claimed(status, { podUid: Uid.make(pod.uid), nonce: "n", epoch: 0, at }, {
    job: `agent-job-${task.metadata.name}`,
    pod: pod.name,
    node: "node",
    configHash: "c0ffee"
  }, 1)

/** Writes this status to the task as it is now, with the rights of `client`. */
export const write = Effect.fnUntraced(
  function*(client: Client, { metadata: { name, namespace } }: AgentTask, status: (now: AgentTaskStatus) => object) {
    const found = yield* (yield* Kubernetes).get(tasks, { name, namespace })
    return yield* client.updateStatus(agentTasks, { metadata: found.metadata, spec: found.spec, status: status(found.status) })
  }
)

export const refusal = <A, R>(
  attempt: Effect.Effect<A, Pick<KubernetesError, "message"> & { readonly _tag: string }, R>
): Effect.Effect<string, never, R> =>
  Effect.match(attempt, { onSuccess: () => "it was taken", onFailure: ({ _tag, message }) => `${_tag}: ${message}` })

/** Repeats the attempt until a policy refuses it, because a policy takes a moment to hold. */
export const untilHeld = (attempt: Effect.Effect<string>) =>
  attempt.pipe(
    Effect.repeat({ until: (_) => _.includes("ValidatingAdmissionPolicy"), schedule: Schedule.spaced("100 millis"), times: 200 })
  )

export const held = Effect.gen(function*() {
  const { as, config } = yield* Installation
  const task = yield* createTask("probe")
  const nobody = yield* as(userOf(config.taskNamespace, accountHere(config)))
  yield* untilHeld(Effect.provideService(refusal(write(nobody, task, (status) => status)), Kubernetes, yield* Kubernetes))
})

const settings = ({ pod, task: { metadata: { name, namespace, uid } } }: Begun) =>
  podSettings("/none", "/none", {
    AGENT_JOB_NAMESPACE: namespace,
    AGENT_JOB_TASK: name,
    AGENT_JOB_TASK_UID: uid,
    AGENT_JOB_JOB: `agent-job-${name}`,
    AGENT_JOB_POD_NAME: pod.name,
    AGENT_JOB_POD_UID: pod.uid,
    AGENT_JOB_TERMINATION_LOG: "/dev/null"
  })
const stop = neverStops()
/** The services of the worker's own code, with the worker's token. */
export const asWorker = (of: Begun) => Layer.mergeAll(settings(of), stop, Layer.succeed(Kubernetes, of.worker))

/** Matches a refusal by one of a policy's checks, and not one because a check could not be evaluated. */
export const policy = /ValidatingAdmissionPolicy(?!.*resulted in error)/u
