// A server of components server, server-tls and server-ingress, with a real kubelet, and a network that enforces the policy.
// It is a second one, in a namespace of its own, so the server of the product goes on as it is.
import { randomBytes } from "node:crypto"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join, relative } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { type Authority, authority } from "../http/certificates.ts"
import { kubectl, taskNamespace, tryKubectl } from "./cluster.ts"
import { patienceSeconds } from "./process.ts"
import { required } from "./server.ts"

const namespace = `e2e-server-${randomBytes(4).toString("hex")}`
const others = `${namespace}-others`
const host = `agent-job-server.${namespace}.svc`
const components = join(import.meta.dirname, "../../kustomize/components")

let folder = ""
let ca: Authority

/** Returns the kustomization for a folder that has the certificate and its key. */
const kustomizationIn = (place: string) => {
  const [image, tag] = required("AGENT_JOB_IMAGE").split(/:(?=[^:]*$)/u)
  const token = () => [`token=${randomBytes(32).toString("base64url")}`]
  return {
    namespace,
    components: ["server", "server-tls", "server-ingress"].map((name) => relative(place, join(components, name))),
    images: [{ name: "scalr/agent", newName: image, newTag: tag }],
    generatorOptions: { disableNameSuffixHash: true },
    secretGenerator: [
      { name: "agent-job-server-tls", type: "kubernetes.io/tls", files: ["tls.crt", "tls.key"] },
      { name: "agent-job-user-token", literals: token() },
      { name: "agent-job-pool-token", literals: token() }
    ]
  }
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "agent-job-e2e-"))
  ca = authority(folder)
  const { directory } = ca.sign("server", `DNS:${host}`)
  await writeFile(join(directory, "kustomization.yaml"), JSON.stringify(kustomizationIn(directory)))
  for (const name of [namespace, others]) await kubectl(["create", "namespace", name])
  await kubectl(["--namespace", namespace, "apply", "--server-side", "--kustomize", directory])
})
afterAll(async () => {
  await tryKubectl(["delete", "namespace", "--ignore-not-found", "--wait=false", namespace, others])
  await rm(folder, { recursive: true })
})

/** Says how the server answers, or why it does not. */
const asking = `
require("node:https").get(process.env.URL, { ca: process.env.CA, signal: AbortSignal.timeout(10_000) }, ({ statusCode }) => {
  console.log(statusCode)
  process.exit()
}).on("error", ({ code }) => console.log(code))
`

interface Client {
  readonly in: string
  readonly labels?: Readonly<Record<string, string>>
}

const podOf = (name: string, { in: place, labels = {} }: Client) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace: place, labels },
  spec: {
    automountServiceAccountToken: false,
    restartPolicy: "Never",
    securityContext: { runAsNonRoot: true, runAsUser: 1001, seccompProfile: { type: "RuntimeDefault" } },
    containers: [{
      name: "client",
      image: required("AGENT_JOB_IMAGE"),
      imagePullPolicy: "IfNotPresent",
      command: ["/usr/local/bin/node", "--eval", asking],
      env: [{ name: "URL", value: `https://${host}:8080/healthz` }, { name: "CA", value: ca.cert }],
      resources: { requests: { cpu: "10m", memory: "32Mi" } },
      securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } }
    }]
  }
})

/** Returns what a Pod hears from the server: a status, or the code of an error. */
const heard = async (client: Client): Promise<string> => {
  const [name, flag] = [`e2e-client-${randomBytes(4).toString("hex")}`, `--namespace=${client.in}`]
  try {
    await kubectl([flag, "create", "--filename=-"], JSON.stringify(podOf(name, client)))
    await kubectl([flag, "wait", `pod/${name}`, "--for=jsonpath={.status.phase}=Succeeded", `--timeout=${patienceSeconds}s`])
    return (await kubectl([flag, "logs", name])).trim()
  } finally {
    await tryKubectl([flag, "delete", "--ignore-not-found", "--wait=false", `pod/${name}`])
  }
}

/** What a client hears whose packets the network refuses, or drops. */
const closed = ["ECONNREFUSED", "EHOSTUNREACH", "ABORT_ERR"]

describe("a server with a certificate and a policy", () => {
  it("gets ready, for the kubelet asks it by HTTPS, and from the node", () =>
    kubectl(["--namespace", namespace, "rollout", "status", "statefulset/agent-job-server", `--timeout=${patienceSeconds}s`]))

  it("answers from its Service, with that certificate, a Pod of the tasks' namespace, and one that is labelled as the controller", async () => {
    const labels = { "app.kubernetes.io/name": "agent-job", "app.kubernetes.io/component": "controller" }
    assert.deepStrictEqual(await Promise.all([{ in: taskNamespace }, { in: namespace, labels }].map(heard)), ["200", "200"])
  })

  it("is reached by no other Pod of its namespace, and by another namespace once that is labelled", async () => {
    for (const answer of await Promise.all([{ in: namespace }, { in: others }].map(heard))) assert.include(closed, answer)
    await kubectl(["label", "namespace", others, "scalr.io/reaches-server=true"])
    assert.strictEqual(await heard({ in: others }), "200")
  })
})
