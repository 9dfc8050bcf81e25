// A release of the Helm chart agent-job as Helm stores it in the cluster, with a shortened manifest.
// Used by the tests of migrate.
import { gzipSync } from "node:zlib"

export interface Release {
  readonly name: string
  readonly namespace: string
  readonly version?: number
  readonly status?: string
  readonly chart?: { readonly name?: string; readonly version?: string }
  readonly defaults?: object
  readonly config?: object | null
  readonly manifest?: string
  /** The CustomResourceDefinitions of the chart, as text. */
  readonly crds?: ReadonlyArray<string>
}

/** Returns the manifest of chart 0.5.59 in short. As in that chart, labels have a key twice, and some names are literals. */
const firstManifest = ({ name, namespace }: Release): string =>
  `---
# Source: agent-job/templates/serviceaccount.yaml
apiVersion: v1
kind: ServiceAccount
metadata:
  name: ${name}-agent-job
  namespace: "${namespace}"
---
# Source: agent-job/templates/role.yaml
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: agent-job-role
  namespace: "${namespace}"
---
# Source: agent-job/templates/controller.yaml
apiVersion: apps/v1
kind: Deployment
metadata:
  name: "scalr-agent-controller"
  namespace: "${namespace}"
  labels:
    app.kubernetes.io/name: agent-job
    app.kubernetes.io/instance: ${name}
    app.kubernetes.io/name: scalr-agent
spec:
  selector:
    matchLabels:
      app.kubernetes.io/name: agent-job
      app.kubernetes.io/instance: ${name}
  template:
    spec:
      terminationGracePeriodSeconds: 360
---
# Source: agent-job/templates/networkpolicy.yaml
---
# Source: agent-job/templates/task.yaml
apiVersion: scalr.io/v1
kind: AgentTask
metadata:
  name: scalr-agent-task
  namespace: "${namespace}"
`

const packed = (payload: unknown): string => Buffer.from(gzipSync(JSON.stringify(payload)).toString("base64")).toString("base64")

const payloadOf = (release: Release): object => {
  const {
    chart,
    config = null,
    crds = [],
    defaults = {},
    manifest = firstManifest(release),
    name,
    namespace,
    status = "deployed",
    version = 1
  } = release
  return {
    name,
    namespace,
    version,
    info: { status },
    chart: {
      metadata: { name: "agent-job", version: "0.5.59", appVersion: "0.54.0", ...chart },
      values: defaults,
      templates: [],
      files: crds.map((crd, index) => ({ name: `crds/${index}.yaml`, data: Buffer.from(crd).toString("base64") }))
    },
    config,
    manifest
  }
}

/** Returns the Secret of a release. `release`: the content of its data, by default the release as Helm packs it. */
export const releaseSecret = (of: Release, release = packed(payloadOf(of))) => {
  const { name, namespace, status = "deployed", version = 1 } = of
  return {
    apiVersion: "v1",
    kind: "Secret",
    type: "helm.sh/release.v1",
    metadata: {
      name: `sh.helm.release.v1.${name}.v${version}`,
      namespace,
      labels: { owner: "helm", name, status, version: String(version) }
    },
    data: { release }
  }
}
