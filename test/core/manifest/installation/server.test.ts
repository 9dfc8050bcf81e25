import { describe, expect, it } from "@effect/vitest"
import type { V1PodTemplateSpec, V1StatefulSet } from "@kubernetes/client-node"
import { deployment } from "../../../../src/core/manifest/installation/deployment.ts"
import { server } from "../../../../src/core/manifest/installation/server.ts"
import { configOf } from "../../configs.ts"

const isStatefulSet = (object: ReturnType<typeof server>[number]): object is V1StatefulSet => object.kind === "StatefulSet"
const statefulSetOf = (values: object): V1StatefulSet["spec"] => server(configOf(values)).find(isStatefulSet)?.spec
const podOf = (values: object): V1PodTemplateSpec | undefined => statefulSetOf(values)?.template

const controllersPod = (values: object): V1PodTemplateSpec | undefined => deployment(configOf(values)).spec?.template

/** Returns what the values for every Pod and every container come to in a Pod. */
const given = (pod: V1PodTemplateSpec | undefined) => {
  const { labels, ...metadata } = pod?.metadata ?? {}
  const { envFrom, env = [] } = pod?.spec?.containers[0] ?? {}
  return {
    ...metadata,
    team: labels?.["team"],
    pullSecrets: pod?.spec?.imagePullSecrets,
    envFrom,
    env: env.filter(({ name, value }) => value !== undefined && !name.startsWith("AGENT_JOB_"))
  }
}

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

  it("keeps the labels that select it", () => {
    const { selector, template } = statefulSetOf({ global: { podLabels: { team: "a" } } }) ?? {}
    expect(template?.metadata?.labels).toMatchObject({ team: "a", ...selector?.matchLabels })
  })
})
