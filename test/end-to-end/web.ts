// A web server in a Pod beside the product. It serves files, and has an address that it never answers.
// Used by the end-to-end tests for archives by URL, and for stages that wait until they are stopped.
import { randomBytes } from "node:crypto"
import { follow, kubectl, taskNamespace, tryKubectl } from "./cluster.ts"
import { required } from "./server.ts"

const port = 8080

export interface Web {
  /** Returns the URL of a file. */
  readonly url: (name: string) => string
  /** A URL that is never answered. */
  readonly never: string
  readonly end: () => Promise<void>
}

const start = `
mkdir -p /tmp/www/cgi-bin && cp /files/* /tmp/www/ && cd /tmp/www
printf '#!/bin/sh\\nexec sleep 3600\\n' >cgi-bin/never && chmod +x cgi-bin/never
exec httpd -f -p ${port} -h /tmp/www
`

/** Returns the Pod of the web server, as Pod Security "restricted" requires it. */
const podOf = (name: string) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace: taskNamespace },
  spec: {
    automountServiceAccountToken: false,
    terminationGracePeriodSeconds: 0,
    securityContext: { runAsNonRoot: true, runAsUser: 1001, seccompProfile: { type: "RuntimeDefault" } },
    containers: [{
      name: "web",
      image: required("AGENT_JOB_RUNNER_IMAGE"),
      imagePullPolicy: "IfNotPresent",
      command: ["/bin/sh", "-ec", start],
      resources: { requests: { cpu: "10m", memory: "16Mi" } },
      readinessProbe: { tcpSocket: { port }, periodSeconds: 1 },
      securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
      volumeMounts: [{ name: "files", mountPath: "/files" }]
    }],
    volumes: [{ name: "files", configMap: { name } }]
  }
})

const addressOf = (object: unknown): string | undefined => {
  const { status: { conditions = [], podIP } } = object as {
    status: { podIP?: string; conditions?: ReadonlyArray<{ type: string; status: string }> }
  }
  return conditions.some(({ status, type }) => type === "Ready" && status === "True") ? podIP : undefined
}

export const startWeb = async (files: Readonly<Record<string, Uint8Array>> = {}): Promise<Web> => {
  const name = `e2e-web-${randomBytes(4).toString("hex")}`
  const binaryData = Object.fromEntries(
    Object.entries({ empty: new Uint8Array(), ...files }).map(([key, bytes]) => [key, Buffer.from(bytes).toString("base64")])
  )
  const configMap = { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace: taskNamespace }, binaryData }
  const end = async () => {
    await tryKubectl(["delete", "--ignore-not-found", "--wait=false", `pod/${name}`, `configmap/${name}`])
  }
  try {
    await kubectl(["create", "--filename=-"], JSON.stringify({ apiVersion: "v1", kind: "List", items: [configMap, podOf(name)] }))
    const address = await follow("the web server is ready", ["pods", `--field-selector=metadata.name=${name}`], addressOf)
    const url = (path: string) => `http://${address}:${port}/${path}`
    return { url, never: url("cgi-bin/never"), end }
  } catch (error) {
    await end()
    throw error
  }
}
