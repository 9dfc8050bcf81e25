import { describe, expect, it } from "@effect/vitest"
import type { V1PodTemplateSpec, V1Service, V1StatefulSet } from "@kubernetes/client-node"
import { deployment } from "../../../../src/core/manifest/installation/deployment.ts"
import { secureServer, server } from "../../../../src/core/manifest/installation/server.ts"
import { configOf } from "../../configs.ts"

const isStatefulSet = (object: ReturnType<typeof server>[number]): object is V1StatefulSet => object.kind === "StatefulSet"
const statefulSetOf = (values: object): V1StatefulSet["spec"] => server(configOf(values)).find(isStatefulSet)?.spec
const podOf = (values: object): V1PodTemplateSpec | undefined => statefulSetOf(values)?.template

const controllersPod = (values: object): V1PodTemplateSpec | undefined => deployment(configOf(values)).spec?.template

const localVolumes = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"

/** Returns what the values for every Pod and every container come to in a Pod. */
const given = (pod: V1PodTemplateSpec | undefined) => {
  const { annotations: { [localVolumes]: _, ...annotations } = {}, labels, ...metadata } = pod?.metadata ?? {}
  const { envFrom, env = [] } = pod?.spec?.containers[0] ?? {}
  return {
    ...metadata,
    annotations,
    team: labels?.["team"],
    pullSecrets: pod?.spec?.imagePullSecrets,
    envFrom,
    env: env.filter(({ name, value }) => value !== undefined && !name.startsWith("AGENT_JOB_"))
  }
}

describe.each([["controller", controllersPod], ["server", podOf]] as const)("the %s's Pod", (_name, pod) => {
  it("lets cluster-autoscaler remove its node, by the names of all its volumes there, unless the values say otherwise", () => {
    const { metadata, spec } = pod({}) ?? {}
    const local = spec?.volumes?.filter(({ emptyDir, hostPath }) => emptyDir !== undefined || hostPath !== undefined)
    expect(metadata?.annotations?.[localVolumes]).toBe(local?.map(({ name }) => name).join(","))
    const kept = pod({ global: { podAnnotations: { [localVolumes]: "none" } } })
    expect(kept?.metadata?.annotations?.[localVolumes]).toBe("none")
  })
})

describe("the server's Pod", () => {
  it("gets what the values give every Pod and every container, as the controller's does", () => {
    const values = {
      global: {
        extraEnv: { A: "1" },
        extraEnvFrom: [{ secretRef: { name: "s" } }],
        imagePullSecrets: [{ name: "pull" }],
        podAnnotations: { "example.com/a": "b" },
        podLabels: { team: "a" },
        proxy: { httpsProxy: "http://proxy.example.com:3128" }
      }
    }
    expect(given(podOf(values))).toEqual(given(controllersPod(values)))
    expect(given(podOf(values))).toMatchObject({ team: "a", annotations: { "example.com/a": "b" }, pullSecrets: [{ name: "pull" }] })
  })

  it("gets nothing that the values give the controller and the worker alone, but for their image", () => {
    const [plain, { image, ...pod }] = [{ agent: {}, controller: {} }, {
      agent: { extraEnv: { A: "1" }, image: { tag: "9" } },
      controller: { extraEnv: { B: "2" }, nodeSelector: { a: "b" }, podLabels: { team: "a" }, priorityClassName: "high" }
    }].map((values) => {
      const { containers: [container], ...spec } = podOf(values)?.spec ?? { containers: [] }
      return { metadata: podOf(values)?.metadata, spec, container: { ...container, image: undefined }, image: container?.image }
    }) as [object, { image: string }]
    expect(pod).toEqual({ ...plain, image: undefined })
    expect(image).toMatch(/:9$/u)
  })

  it("is reached also while it is not ready, as with a full disk, so that its logs and states can be read", () => {
    const service = server(configOf()).find(({ kind }) => kind === "Service")
    expect(service).toMatchObject({ spec: { publishNotReadyAddresses: true } })
  })

  it("is the first of its StatefulSet alone that is reached: another has an empty volume, and who came to it would find no state", () => {
    const service = server(configOf()).find(({ kind }) => kind === "Service")
    const selector = Object.entries((service as V1Service).spec?.selector ?? {})
    const reached = [0, 1].filter((ordinal) => {
      // as the API server's own controller labels it
      const labels = { ...podOf({})?.metadata?.labels, "apps.kubernetes.io/pod-index": String(ordinal) }
      return selector.every(([key, value]) => new Map(Object.entries(labels)).get(key) === value)
    })
    expect(reached).toEqual([0])
  })

  it("keeps the labels that select it", () => {
    const { selector, template } = statefulSetOf({ global: { podLabels: { team: "a" } } }) ?? {}
    expect(template?.metadata?.labels).toMatchObject({ team: "a", ...selector?.matchLabels })
  })
})

describe("the server with a certificate", () => {
  const [, service, statefulSet] = secureServer(configOf({ global: { extraEnv: { AGENT_JOB_TLS_CERT_FILE: "/elsewhere", A: "1" } } }))
  const spec = statefulSet !== undefined && isStatefulSet(statefulSet) ? statefulSet.spec?.template.spec : undefined
  const [container] = spec?.containers ?? []

  it("is at the same port of Service and Pod, under the name of what it speaks, also to the probes", () => {
    expect(service).toMatchObject({ spec: { ports: [{ name: "https", port: 8080, targetPort: "https" }] } })
    expect(container).toMatchObject({
      ports: [{ name: "https", containerPort: 8080 }],
      startupProbe: { httpGet: { path: "/healthz", port: 8080, scheme: "HTTPS" } },
      livenessProbe: { httpGet: { path: "/healthz", port: 8080, scheme: "HTTPS" } },
      readinessProbe: { httpGet: { path: "/readyz", port: 8080, scheme: "HTTPS" } }
    })
  })

  it("reads it from a Secret as cert-manager makes it, mounted as a folder, which the kubelet brings up to date", () => {
    const named = (name: string) => container?.env?.filter((_) => _.name === name).map(({ value }) => value)
    const [volume] = spec?.volumes?.filter(({ secret }) => secret?.secretName === "agent-job-server-tls") ?? []
    const [mount] = container?.volumeMounts?.filter(({ name }) => name === volume?.name) ?? []
    expect(mount).toMatchObject({ readOnly: true })
    expect(mount).not.toHaveProperty("subPath")
    expect([named("AGENT_JOB_TLS_CERT_FILE"), named("AGENT_JOB_TLS_PRIVATE_KEY_FILE"), named("A")]).toEqual([
      [`${mount?.mountPath}/tls.crt`],
      [`${mount?.mountPath}/tls.key`],
      ["1"]
    ])
    expect(volume?.secret).toMatchObject({
      items: [{ key: "tls.crt", path: "tls.crt" }, { key: "tls.key", path: "tls.key" }],
      defaultMode: 0o400
    })
  })
})
