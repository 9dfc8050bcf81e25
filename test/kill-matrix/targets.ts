// How each part is hit: on this node as root, or through the API as anybody with the right could.
// Used by matrix.kills.test.ts.
import { execFileSync } from "node:child_process"
import { setTimeout as sleep } from "node:timers/promises"
import { follow, kubectl, productNamespace, taskNamespace, tryKubectl } from "../end-to-end/cluster.ts"
import type { Target } from "./cells.ts"
import { inPod, kill, killPart, starve } from "./processes.ts"

const downSeconds = 4

/** The newest Pod of a task, once there is one. */
const podOf = (task: string): Promise<string> =>
  follow(`a Pod of ${task}`, ["pods", `--selector=scalr.io/task=${task}`], (object) =>
    typeof object === "object" && object !== null && "metadata" in object && typeof object.metadata === "object" && object.metadata !== null && "name" in object.metadata ? String(object.metadata.name) : undefined)

const productPod = async (component: string): Promise<string> =>
  (await kubectl(["--namespace", productNamespace, "get", "pods", `--selector=app.kubernetes.io/component=${component}`, "--field-selector=status.phase=Running", "--output=jsonpath={.items[0].metadata.name}"])).trim()

const killInPod = (pod: string, commandLine: RegExp) => kill(inPod(pod, commandLine))

/** Those in the Pod, once there is one. */
const running = async (pod: string, commandLine: RegExp): Promise<ReadonlyArray<number>> => {
  for (const deadline = Date.now() + 30_000; Date.now() < deadline; await sleep(20)) {
    const pids = inPod(pod, commandLine)
    if (pids.length > 0) return pids
  }
  throw new Error(`${pod} has no process ${String(commandLine)}`)
}

/** It is away for a while, as when an operator restarts it. */
const killAndRestart = async (part: string) => {
  const restart = killPart(part)
  await sleep(downSeconds * 1000)
  restart()
}

/** The node's end of the Pod's only link goes down, and up again. It is found by the Pod's address, and is never a link of the node itself. */
const cutOff = async (pod: string) => {
  const address = (await kubectl(["get", "pod", pod, "--output=jsonpath={.status.podIP}"])).trim()
  const route = execFileSync("ip", ["route", "show", `${address}/32`], { encoding: "utf8" })
  const link = / dev (veth\w+) /u.exec(route)?.[1]
  if (address === "" || link === undefined) throw new Error(`The Pod ${pod} has no link on this node: ${route}`)
  execFileSync("ip", ["link", "set", link, "down"])
  await sleep(downSeconds * 1000)
  execFileSync("ip", ["link", "set", link, "up"])
  execFileSync("ip", ["route", "replace", ...route.trim().split(" ")]) // it went with the link
}

const evict = async (pod: string) => {
  const eviction = { apiVersion: "policy/v1", kind: "Eviction", metadata: { name: pod, namespace: taskNamespace } }
  await tryKubectl(["create", `--raw=/api/v1/namespaces/${taskNamespace}/pods/${pod}/eviction`, "--filename=-"], JSON.stringify(eviction)) // a budget may refuse it
}

const worker = /main\.cjs worker/u
const engine = /(?:^|\/)tofu /u

/** Hits the target while `task` is at its moment. Completes when it is up again, where it comes up by itself. */
export const hit = async (target: Target, task: string): Promise<void> => {
  switch (target) {
    case "controller": return killInPod(await productPod("controller"), /controller/u)
    case "server": return killInPod(await productPod("server"), /server/u)
    case "worker": return killInPod(await podOf(task), worker)
    case "worker out of memory": return starve(await running(await podOf(task), worker))
    case "exec loop": return killInPod(await podOf(task), /exec-loop/u)
    case "engine": return killInPod(await podOf(task), engine)
    case "runner out of memory": return starve(await running(await podOf(task), engine))
    case "kubelet": case "containerd": case "kube-apiserver": case "etcd": return killAndRestart(target)
    case "Pod evicted": return evict(await podOf(task))
    case "Pod deleted": return void await tryKubectl(["delete", "pod", await podOf(task), "--wait=false"])
    case "Pod deleted by force": return void await tryKubectl(["delete", "pod", await podOf(task), "--grace-period=0", "--force", "--wait=false"])
    case "Job deleted": return void await tryKubectl(["delete", "job", `--selector=scalr.io/task=${task}`, "--wait=false"])
    case "AgentTask deleted": return void await tryKubectl(["delete", "atask", task, "--wait=false"])
    case "network of the Pod": return cutOff(await podOf(task))
  }
}

