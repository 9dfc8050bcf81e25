// How the tests hit each part: on this node as root, or through the API as anybody with the right could.
// Used by matrix.kills.test.ts, outages.kills.test.ts and moments.ts.
import { Schema } from "effect"
import { execFileSync } from "node:child_process"
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { follow, kubectl, productNamespace, taskNamespace, tryKubectl } from "../end-to-end/cluster.ts"
import { eventually } from "../end-to-end/process.ts"
import { type Met, secondsAway, type Target } from "./cells.ts"
import { smallDisk } from "./disk.ts"
import { directoryOf, jobOf, podOf } from "./pods.ts"
import { freeze, inPod, kill, killPart, starve } from "./processes.ts"

const productPod = async (component: string): Promise<string> =>
  (await kubectl([
    "--namespace",
    productNamespace,
    "get",
    "pods",
    `--selector=app.kubernetes.io/component=${component}`,
    "--field-selector=status.phase=Running",
    "--output=jsonpath={.items[0].metadata.name}"
  ])).trim()

/** Waits until the Pod has a matching process, and returns the ids of all of them. */
export const running = (pod: string, commandLine: RegExp): Promise<ReadonlyArray<number>> =>
  eventually(`a process ${String(commandLine)} in ${pod}`, () => {
    const pids = inPod(pod, commandLine)
    return pids.length > 0 ? pids : undefined
  })

const killAll = (pids: ReadonlyArray<number>): void => {
  if (kill(pids) === 0) throw new Error("It had ended before it could be killed")
}

/** Kills the first matching process that it meets. A short command may end before it is killed, and the next one is as good. */
const killRunning = async (pod: string, commandLine: RegExp): Promise<void> =>
  void await eventually(
    `the death of a process ${String(commandLine)} in ${pod}`,
    () => kill(inPod(pod, commandLine)) > 0 ? true : undefined
  )

/** Kills a part, and starts it again after a few seconds, as when an operator restarts it. */
const killAndRestart = async (part: string) => {
  const restart = killPart(part)
  await sleep(secondsAway * 1000)
  restart()
}

const addressed = Schema.decodeUnknownSync(Schema.Struct({ status: Schema.Struct({ podIP: Schema.optionalKey(Schema.String) }) }))

/** Takes the node's end of the Pod's only link down, and up again. It finds the link by the Pod's address, so it never takes another. */
export const cutOff = async (pod: string, seconds = secondsAway): Promise<() => Promise<void>> => {
  const selector = ["pods", `--field-selector=metadata.name=${pod}`]
  const address = await follow(`the address of ${pod}`, selector, (object) => addressed(object).status.podIP)
  const route = execFileSync("ip", ["route", "show", `${address}/32`], { encoding: "utf8" })
  const link = / dev (veth\w+) /u.exec(route)?.[1]
  if (link === undefined) throw new Error(`The Pod ${pod} has no link on this node: ${route}`)
  return async () => {
    execFileSync("ip", ["link", "set", link, "down"])
    await sleep(seconds * 1000)
    if (!existsSync(`/sys/class/net/${link}`)) return // the Pod had done its work, and is gone
    execFileSync("ip", ["link", "set", link, "up"])
    execFileSync("ip", ["route", "replace", ...route.trim().split(" ")]) // the route went with the link
  }
}

/** Evicts the Pod, as a drain does. */
const evict = async (pod: string): Promise<Met> => {
  const eviction = { apiVersion: "policy/v1", kind: "Eviction", metadata: { name: pod, namespace: taskNamespace } }
  const { code, stderr } = await tryKubectl(
    ["create", `--raw=/api/v1/namespaces/${taskNamespace}/pods/${pod}/eviction`, "--filename=-"],
    JSON.stringify(eviction)
  )
  if (code !== 0 && !stderr.includes("disruption budget")) throw new Error(`The eviction of ${pod} has failed: ${stderr.trim()}`)
  return code === 0 ? "target" : "budget"
}

/** Deletes the object, and fails if it is not there. */
const remove = async (...args: ReadonlyArray<string>): Promise<void> => void await kubectl(["delete", ...args, "--wait=false"])

export const worker = /main\.cjs worker/u
const engine = /(?:^|\/)tofu /u
const execLoop = /exec-loop/u

type PodTarget = Exclude<
  Target,
  "controller" | "server" | "kubelet" | "containerd" | "kube-apiserver" | "etcd" | "Job deleted" | "AgentTask deleted"
>

/**
 * Hits the target, and says what it met: where it says nothing, the target. Completes when a part that the tests restart is up again. Fails
 * if there is nothing left to hit.
 */
export type Blow = () => Promise<Met | void> | void

/** Freezes the first matching process that it meets, with those beside it. */
const frozen = (pod: string, commandLine: RegExp): Promise<ReadonlyArray<number>> =>
  eventually(`a process ${String(commandLine)} in ${pod} that stands still`, () => {
    const pids = freeze(inPod(pod, commandLine))
    return pids.length > 0 ? pids : undefined
  })

/** Kills the exec loop, and looks at what the next one will find before the kubelet starts that. */
const killLoop = async (pod: string): Promise<Blow> => {
  const pids = await running(pod, execLoop)
  const taken = join(await directoryOf(pod), "volumes/kubernetes.io~empty-dir/data/exec/taken")
  return async () => {
    killAll(pids)
    await eventually(
      `the death of the exec loop in ${pod}`,
      () => inPod(pod, execLoop).some((pid) => pids.includes(pid)) ? undefined : true,
      {
        everyMillis: 1
      }
    )
    return readdirSync(taken).length > 0 ? "command" : undefined
  }
}

const inItsPod = async (target: PodTarget, pod: string): Promise<Blow> => {
  switch (target) {
    case "worker": {
      const pids = await running(pod, worker)
      return () => killAll(pids)
    }
    case "exec loop":
      return killLoop(pod)
    case "engine":
      return () => killRunning(pod, engine)
    case "worker out of memory": {
      const pids = await running(pod, worker)
      return () => starve(freeze(pids))
    }
    case "runner out of memory":
      return async () => starve(await frozen(pod, engine))
    case "disk full": {
      const disk = await smallDisk(await directoryOf(pod))
      const [pid] = await running(pod, worker)
      if (!disk.isSeenBy(pid ?? 0)) throw new Error(`The containers of ${pod} were there before its small disk`)
      return disk.fill
    }
    case "Pod evicted":
      return () => evict(pod)
    case "Pod deleted":
      return () => remove("pod", pod)
    case "Pod deleted by force":
      return () => remove("pod", pod, "--grace-period=0", "--force")
    case "network of the Pod":
      return cutOff(pod)
  }
}

/** Finds the target before the moment comes, because at some moments it ends within milliseconds. The search starts with the run. */
export const aim = async (target: Target, task: string): Promise<Blow> => {
  switch (target) {
    case "controller":
      return async () => killRunning(await productPod("controller"), /controller/u)
    case "server":
      return async () => killRunning(await productPod("server"), /server/u)
    case "kubelet":
    case "containerd":
    case "kube-apiserver":
    case "etcd":
      return () => killAndRestart(target)
    case "Job deleted": {
      const job = await jobOf(task)
      return () => remove("job", job)
    }
    case "AgentTask deleted":
      return () => remove("atask", task)
    default:
      return inItsPod(target, await podOf(task))
  }
}
