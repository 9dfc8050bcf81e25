// Waits until the product is as it was before a test hit it.
// Used by matrix.kills.test.ts and outages.kills.test.ts.
import { kubectl, productNamespace } from "../end-to-end/cluster.ts"
import { untilServed } from "../end-to-end/server.ts"

const inProduct = (...args: ReadonlyArray<string>) => kubectl(["--namespace", productNamespace, ...args])

/** Waits until the product is ready. It deletes Pods whose container has restarted, because backoff delays each further restart. */
export const untilReady = async (): Promise<void> => {
  const pods = await inProduct(
    "get",
    "pods",
    "--output=jsonpath={range .items[*]}{.metadata.name} {.status.containerStatuses[0].restartCount}{\"\\n\"}{end}"
  )
  const restarted = pods.split("\n").flatMap((line) => /^(\S+) [1-9]/u.exec(line)?.[1] ?? [])
  if (restarted.length > 0) await inProduct("delete", "pod", ...restarted, "--grace-period=5")
  for (const part of ["deployment/agent-job-controller", "statefulset/agent-job-server"]) {
    await inProduct("rollout", "status", part, "--timeout=300s")
  }
  await untilServed() // a server that was just killed counts as ready until the kubelet probes it
}
