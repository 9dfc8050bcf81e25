// A web server in a Pod beside the product. It serves files, counts what stages make, and has addresses that it answers late or never.
// Used by the end-to-end tests for archives by URL, and for stages that wait until they are stopped or go on.
import { randomBytes } from "node:crypto"
import { follow, kubectl, taskNamespace, tryKubectl } from "./cluster.ts"
import { Process } from "./process.ts"
import { required } from "./server.ts"

const port = 8080

export interface Web {
  /** Returns the URL of a file. */
  readonly url: (name: string) => string
  /** A URL that is never answered. */
  readonly never: string
  /** Returns a URL that is answered once its key is released, with the file `held`. */
  readonly held: (key: string) => string
  readonly release: (key: string) => Promise<void>
  /** Returns a URL that notes each time that it is asked for. */
  readonly made: (key: string) => string
  /** Completes when a URL of that key has been asked for. */
  readonly until: (what: "held" | "made", key: string) => Promise<void>
  /** Returns how often the URL `made` of that key was asked for. */
  readonly count: (key: string) => Promise<number>
  readonly end: () => Promise<void>
}

/** What answers under cgi-bin/, by name. What was asked for is noted in the Pod's log. An engine asks with HEAD first, which gets no body. */
const programs = {
  "never.cgi": "exec sleep 3600",
  "made.cgi": `
echo "made$PATH_INFO" >/proc/1/fd/1
printf 'Content-Type: text/plain\\r\\n\\r\\n'
`,
  "held.cgi": `
if [ "$REQUEST_METHOD" = GET ]; then
  echo "held$PATH_INFO" >/proc/1/fd/1
  until [ -e "/tmp/released$PATH_INFO" ]; do sleep 0.1; done
fi
printf 'Content-Type: application/octet-stream\\r\\n\\r\\n'
[ "$REQUEST_METHOD" != GET ] || cat ../held
`
}

const start = `
mkdir -p /tmp/www/cgi-bin /tmp/released && cp /files/* /tmp/www/ && cd /tmp/www
mv *.cgi cgi-bin/ && chmod +x cgi-bin/*
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
    Object.entries({ held: new Uint8Array(), ...files }).map(([key, bytes]) => [key, Buffer.from(bytes).toString("base64")])
  )
  const data = Object.fromEntries(Object.entries(programs).map(([key, script]) => [key, `#!/bin/sh\n${script}`]))
  const configMap = { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace: taskNamespace }, data, binaryData }
  const end = async () => {
    await tryKubectl(["delete", "--ignore-not-found", "--wait=false", `pod/${name}`, `configmap/${name}`])
  }
  try {
    await kubectl(["create", "--filename=-"], JSON.stringify({ apiVersion: "v1", kind: "List", items: [configMap, podOf(name)] }))
    const address = await follow("the web server is ready", ["pods", `--field-selector=metadata.name=${name}`], addressOf)
    const url = (path: string) => `http://${address}:${port}/${path}`
    const until = async (what: string, key: string) => {
      const log = new Process("kubectl", ["--namespace", taskNamespace, "logs", "--follow", name])
      await log.until(`${what} of ${key} is asked for`, ({ stdout }) => stdout.includes(`${what}/${key}\n`) ? true : undefined)
        .finally(() => log.end())
    }
    return {
      url,
      never: url("cgi-bin/never.cgi"),
      held: (key) => url(`cgi-bin/held.cgi/${key}`),
      release: async (key) => void await kubectl(["exec", name, "--", "touch", `/tmp/released/${key}`]),
      made: (key) => url(`cgi-bin/made.cgi/${key}`),
      until,
      count: async (key) => (await kubectl(["logs", name])).split("\n").filter((line) => line === `made/${key}`).length,
      end
    }
  } catch (error) {
    await end()
    throw error
  }
}
