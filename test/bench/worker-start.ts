// How long the Pod of a task takes until the engine's first line, and where that time goes; on the embedded node, with the product on it.
// The floor is the same `tofu init` in the same image without our worker. It adds tasks to the namespace of tasks, and removes them.
// Used by main.ts.
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { type Api, openApi, podsOf, type Seen, tasksOf } from "./api.ts"
import { type Figure, median, type Samples } from "./figure.ts"
import { until } from "./until.ts"

export interface Node {
  readonly kubeconfig: string
  readonly containerdSocket: string
  readonly runnerImage: string
  /** Prints what is being measured. */
  readonly say: (what: string) => void
}

const namespace = "agent-job-tasks"
const rounds = 7
const configuration = "output \"greeting\" {\n  value = \"hello\"\n}\n"

interface Line {
  readonly at: number
  readonly text: string
}

/** Returns the milliseconds of an RFC 3339 time with nanoseconds, all digits kept; Date alone would keep only three of them. */
const instant = (time: string): number =>
  Date.parse(time.replace(/(\.\d{3})\d*/u, "$1")) + Number(`0.${/\.\d{3}(\d*)/u.exec(time)?.[1] ?? "0"}`)

const logOf = async (api: Api, pod: string, container: string): Promise<ReadonlyArray<Line>> => {
  const text = await api.text(`${podsOf(namespace)}/${pod}/log?container=${container}&timestamps=true`)
  return text.split("\n").filter((line) => line !== "").map((line) => {
    const space = line.indexOf(" ")
    return { at: instant(line.slice(0, space)), text: line.slice(space + 1) }
  })
}

/** Watches containerd's events; `at` has the time at which each container started, by its id. */
const watchStarts = async (socket: string): Promise<Disposable & { readonly at: ReadonlyMap<string, number> }> => {
  const at = new Map<string, number>()
  const events = spawn("ctr", ["--address", socket, "events"], { stdio: ["ignore", "pipe", "ignore"] })
  createInterface(events.stdout).on("line", (line) => {
    const [, day = "", time = "", id = ""] = /^(\S+) (\S+) \S+ \S+ \S+ \/tasks\/start \{"container_id":"([^"]+)"/u.exec(line) ?? []
    if (id !== "") at.set(id, instant(`${day}T${time}Z`))
  })
  await once(events, "spawn")
  return { at, [Symbol.dispose]: () => events.kill() }
}

interface Pod extends Seen {
  readonly status: {
    readonly phase?: string
    readonly containerStatuses?: ReadonlyArray<{ readonly name: string; readonly containerID?: string }>
    readonly initContainerStatuses?: ReadonlyArray<{ readonly name: string; readonly containerID?: string }>
  }
}
interface Task extends Seen {
  readonly status: { readonly phase?: string; readonly claim?: { readonly at: string }; readonly pod?: { readonly name: string } }
}

/**
 * A start of a worker, in milliseconds: `pod` is from the POST of the task to the start of the worker's container, and `all` from there to
 * the engine's first line. The other three are the parts of `all`, one after another.
 */
interface Start {
  readonly pod: number
  readonly claim: number
  readonly provision: number
  readonly init: number
  readonly all: number
}

const after = (lines: ReadonlyArray<Line>, found: (text: string) => boolean): Line => {
  const line = lines[lines.findIndex(({ text }) => found(text)) + 1]
  if (line === undefined) {
    throw new Error(`The log of the worker has not the line that was looked for: ${lines.map(({ text }) => text).join("\n")}`)
  }
  return line
}
const isInit = (text: string) => text.includes("$ tofu init")

const measureStart = async (api: Api, starts: ReadonlyMap<string, number>, name: string): Promise<Start> => {
  const path = `${tasksOf(namespace)}/${name}`
  const spec = { workspace: "bench", stage: "plan", source: { inline: { "main.tf": configuration } } }
  const posted = Date.now()
  await api.call("POST", tasksOf(namespace), { apiVersion: "scalr.io/v1", kind: "AgentTask", metadata: { name }, spec })
  const task = await until(
    `The end of ${name}`,
    () => api.call<Task>("GET", path),
    ({ status: { phase = "" } }) => ["Succeeded", "Failed", "Cancelled"].includes(phase)
  )
  const { claim, phase, pod } = task.status
  if (phase !== "Succeeded" || claim === undefined || pod === undefined) throw new Error(`${name} ended as ${phase}`)
  const { status: { containerStatuses = [] } } = await api.call<Pod>("GET", `${podsOf(namespace)}/${pod.name}`)
  const id = containerStatuses.find((_) => _.name === "worker")?.containerID?.replace("containerd://", "") ?? ""
  const started = starts.get(id) ?? NaN
  const lines = await logOf(api, pod.name, "worker")
  const shown = lines.find(({ text }) => isInit(text))?.at ?? NaN
  const first = after(lines, isInit).at
  await api.call("DELETE", path)
  const claimed = instant(claim.at)
  return { pod: started - posted, claim: claimed - started, provision: shown - claimed, init: first - shown, all: first - started }
}

const script = `mkdir /tmp/w && cd /tmp/w && printf '%s' "$MAIN" >main.tf
for round in $(seq ${rounds}); do rm -rf .terraform*; echo version; tofu version -json >/dev/null; echo init; tofu init -input=false; done`

/** Runs the engine alone in the runner's image; returns the milliseconds of `tofu version`, and of `tofu init` until its first line. */
const measureEngine = async (
  api: Api,
  image: string
): Promise<{ readonly version: ReadonlyArray<number>; readonly init: ReadonlyArray<number> }> => {
  const name = `bench-engine-${Date.now()}`
  const securityContext = {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ["ALL"] },
    runAsNonRoot: true,
    runAsUser: 1001,
    seccompProfile: { type: "RuntimeDefault" }
  }
  const environment = [
    { name: "MAIN", value: configuration },
    { name: "CHECKPOINT_DISABLE", value: "1" },
    { name: "TF_IN_AUTOMATION", value: "1" }
  ]
  const container = { name: "engine", image, command: ["/bin/sh", "-c", script], env: environment, securityContext }
  await api.call("POST", podsOf(namespace), {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name },
    spec: { restartPolicy: "Never", automountServiceAccountToken: false, containers: [container] }
  })
  const path = `${podsOf(namespace)}/${name}`
  await until(
    "The end of the engine's Pod",
    () => api.call<Pod>("GET", path),
    ({ status: { phase = "" } }) => ["Succeeded", "Failed"].includes(phase)
  )
  const lines = await logOf(api, name, "engine")
  await api.call("DELETE", path)
  const following = (text: string) =>
    lines.flatMap((line, index) => line.text === text ? [(lines[index + 1]?.at ?? NaN) - line.at] : []).slice(1) // the first is a warm-up
  return { version: following("version"), init: following("init") }
}

const milliseconds = (what: string, values: ReadonlyArray<number>): Samples => ({ what, values })

export const workerFigures = async ({ containerdSocket, kubeconfig, runnerImage, say }: Node): Promise<ReadonlyArray<Figure>> => {
  using api = openApi(kubeconfig)
  using starts = await watchStarts(containerdSocket)
  say("the engine alone")
  const engine = await measureEngine(api, runnerImage)
  const all: Array<Start> = []
  for (let round = 0; round <= rounds; round++) {
    say(`start of a worker, ${round} of ${rounds}`)
    all.push(await measureStart(api, starts.at, `bench-${Date.now()}`))
  }
  const measured = all.slice(1) // the first is a warm-up
  const part = (of: (start: Start) => number) => measured.map(of)
  const own = median(engine.init)
  return [
    {
      what: "worker start to the first line of tofu, its own time left out",
      unit: "ms",
      budget: 1500,
      values: part((_) => _.all - own),
      note: `Left out: the ${own.toFixed(0)} ms that tofu init alone takes to its first line.`
    },
    { what: "– of it: Node, settings, to the claim", unit: "ms", values: part((_) => _.claim) },
    {
      what: "– of it: claim, exec loop, files, tofu version",
      unit: "ms",
      values: part((_) => _.provision),
      floor: milliseconds("tofu version", engine.version)
    },
    {
      what: "– then tofu init to its first line",
      unit: "ms",
      values: part((_) => _.init),
      floor: milliseconds("tofu init alone", engine.init)
    },
    { what: "AgentTask to the start of the worker's container", unit: "ms", values: part((_) => _.pod) }
  ]
}
