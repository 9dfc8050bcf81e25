// The cluster as a person sees it, through kubectl as a process: tests make, follow and read AgentTasks.
// Waits follow a watch instead of polling. Each has a deadline, whose error says what was seen last.
// Used by the end-to-end tests.
import { Schema } from "effect"
import { plainText } from "../../src/core/stage/outcome.ts"
import { isOver } from "../../src/core/task/status.ts"
import { AgentTask, type AgentTaskSpec } from "../../src/schema/task/agent-task.ts"
import { type Ended, overdue, patienceSeconds, Process, run } from "./process.ts"

/** The namespaces of the product and of its tasks, as scripts/install makes them. */
export const productNamespace = "agent-job"
export const taskNamespace = "agent-job-tasks"

/** Whether the node is one that the scripts started: nobody but the tests uses it, and it is this machine. With CONTEXT it is the user's. */
export const ownNode = (process.env.CONTEXT ?? "") === ""

/** Runs kubectl and returns its stdout. Fails with its stderr when it does not exit with 0. */
export const kubectl = async (args: ReadonlyArray<string>, input?: string): Promise<string> => {
  const { code, stderr, stdout } = await tryKubectl(args, input)
  if (code !== 0) throw new Error(`kubectl ${args.join(" ")} ended with ${code}: ${stderr.trim()}`)
  return stdout
}

export const tryKubectl = (args: ReadonlyArray<string>, input?: string): Promise<Ended> =>
  run("kubectl", ["--namespace", taskNamespace, ...args], input === undefined ? {} : { input })

/** The spec of an AgentTask, valid or not: the tests also make tasks that the API server must refuse. */
export type TaskSpec = Readonly<Record<string, unknown>> | AgentTaskSpec

export const manifestOf = (name: string, spec: TaskSpec): string =>
  JSON.stringify({ apiVersion: "scalr.io/v1", kind: "AgentTask", metadata: { name, namespace: taskNamespace }, spec })

const decodeTask = Schema.decodeUnknownSync(AgentTask)

export const taskOf = async (name: string): Promise<AgentTask> =>
  decodeTask(JSON.parse(await kubectl(["get", "atask", name, "--output=json"])))

/** Lets the apply of a run make the second resource of `heldApply`, or its destroy remove that of `heldDestroy`. */
export const release = async (runId: string, stage: "apply" | "destroy" = "apply"): Promise<void> => {
  const { status: { pod } } = await taskOf(`${runId}-${stage}`)
  await kubectl(["exec", pod?.name ?? "", "--container=runner", "--", "touch", "/tmp/released"])
}

const WatchEvent = Schema.fromJsonString(Schema.Struct({ type: Schema.String, object: Schema.Unknown }))
const decodeEvent = Schema.decodeUnknownSync(WatchEvent)

/** Watches the objects that `args` select until `seen` returns a value for one of them. `gone`: whether the object was deleted. */
export const follow = async <A>(
  what: string,
  args: ReadonlyArray<string>,
  seen: (object: unknown, gone: boolean) => A | undefined,
  seconds = patienceSeconds
): Promise<A> => {
  const watch = new Process("kubectl", ["--namespace", taskNamespace, "get", ...args, "--watch", "--output-watch-events", "--output=json"])
  let taken = 0
  try {
    return await watch.until(what, ({ stdout }) => {
      for (let end = stdout.indexOf("\n", taken); end >= 0; end = stdout.indexOf("\n", taken)) {
        const { object, type } = decodeEvent(stdout.slice(taken, end))
        taken = end + 1
        const found = seen(object, type === "DELETED")
        if (found !== undefined) return found
      }
      return undefined
    }, seconds)
  } finally {
    await watch.end()
  }
}

const told = ({ status: { message, phase, reason } }: AgentTask) =>
  `${phase ?? "no phase"}, ${reason ?? "no reason"}, ${message ?? "no message"}`

/** Reports whether nothing of the task can change any more: after its end, a pool still has to confirm the result. */
const isSettled = ({ spec, status }: AgentTask) => isOver(status.phase) && (spec.pool === undefined || status.reportedAt !== undefined)

/** Waits until a task, which need not exist yet, is as `wanted`, and returns it. Fails at once when the task ends in another way. */
export const untilTask = async (
  name: string,
  what: string,
  wanted: (task: AgentTask) => boolean,
  seconds = patienceSeconds
): Promise<AgentTask> => {
  let last = "nothing"
  const found = await follow(`${name}: ${what}`, ["atasks", `--field-selector=metadata.name=${name}`], (object, gone) => {
    const task = decodeTask(object)
    last = gone ? "it was deleted" : told(task)
    if (!gone && wanted(task)) return task
    if (gone || isSettled(task)) throw new Error(`${name} never came to "${what}": ${last}`)
    return undefined
  }, seconds).catch((error: unknown) => {
    throw error instanceof Error && error.message.includes("did not come about") ? overdue(`${name}: ${what}`, seconds, last) : error
  })
  return found
}

export const untilOver = (name: string, seconds?: number): Promise<AgentTask> =>
  untilTask(name, "is over", ({ status }) => isOver(status.phase), seconds)

/** Returns the Pod's name once the worker has a log there. A task may run, and even be over, before its kubelet says that the container is there. */
export const podWithLog = async ({ status: { pod } }: AgentTask): Promise<string> => {
  const name = pod?.name ?? ""
  await kubectl(["wait", `pods/${name}`, `--for=jsonpath={.status.containerStatuses[?(@.name=="worker")].containerID}`, "--timeout=300s"])
  return name
}

/** Returns the log of the task's worker container without colours. */
export const podLog = async (task: AgentTask): Promise<string> =>
  plainText(await kubectl(["logs", await podWithLog(task), "--container=worker"]))
