// Where a value comes from, layer by layer, and which key is meant.
import { describe, expect, it } from "@effect/vitest"
import { Result } from "effect"
import { explainKey, findKey, history, setBelow } from "../../../src/core/resolve/provenance.ts"
import { shown } from "../../../src/schema/document/explain.ts"
import { yamlLayer } from "../../../src/schema/document/yaml-layer.ts"
import { parseLayers } from "../../../src/schema/values/values.ts"

const layersOf = (...texts: ReadonlyArray<string>) => texts.map((text, index) => Result.getOrThrow(yamlLayer(`${"abc"[index]}.yaml`, text)))
const told = (layers: ReturnType<typeof layersOf>, key: string) =>
  history(layers, Result.getOrThrow(findKey(key)).path).map((
    { file = "defaults", instead, place, value }
  ) => [`${file}${place === undefined ? "" : `:${place.line}`}`, value, ...(instead === undefined ? [] : [instead])])

describe("the history of a key", () => {
  const layers = layersOf(
    "task:\n  limits:\n    total: 1\n",
    "task:\n  limits: { total: 2 }\n  tolerations: [{ key: a }]\n",
    "task: { limits: { total: 3 } }\n"
  )

  it("has what each layer says, the topmost first, and the default last", () =>
    expect(told(layers, "task.limits.total")).toEqual([["c.yaml:1", 3], ["b.yaml:2", 2], ["a.yaml:3", 1], ["defaults", 50]]))

  it("passes over layers that say nothing", () =>
    expect(told(layers, "task.tolerations")).toEqual([["b.yaml:3", [{ key: "a" }]], ["defaults", []]]))

  it("says which key around it takes it away", () =>
    expect(
      told(
        layersOf("controller: { resources: { limits: { cpu: 1 } } }", "controller:\n  resources: { limits: null }\n"),
        "controller.resources.limits.cpu"
      )
    ).toEqual([
      ["b.yaml:2", null, "controller.resources.limits"],
      ["a.yaml:1", 1],
      ["defaults", "500m"]
    ]))

  it("says which list a part of another one is lost to", () =>
    expect(told(layersOf("task: { tolerations: [{ key: a }] }", "task: { tolerations: [] }"), "task.tolerations[0].key")).toEqual([[
      "b.yaml:1",
      [],
      "task.tolerations"
    ], ["a.yaml:1", "a"]]))

  it("never has a token", () => {
    const layers = layersOf("agent: { token: s3cret }", "agent: { auth: { token: s3cret }, tokenExistingSecret: null }")
    const values = Result.getOrThrow(parseLayers(layers))
    for (const key of ["agent.token", "agent.auth.token", "agent.auth", "agent"]) {
      expect(JSON.stringify(explainKey(layers, values, Result.getOrThrow(findKey(key))))).not.toContain("s3cret")
    }
    expect(told(layers, "agent").slice(0, 2)).toEqual([
      ["b.yaml:1", { auth: { token: "(not shown)" }, tokenExistingSecret: null }],
      ["a.yaml:1", { token: "(not shown)" }]
    ])
    const other = layersOf("agent: { auth: { token: s3cret } }")
    expect(explainKey(other, Result.getOrThrow(parseLayers(other)), Result.getOrThrow(findKey("agent.token"))).effective)
      .toMatchObject({ value: "(not shown)", from: [{ key: "agent.auth.token" }] })
  })

  it.each(["s3cret", "[s3cret]"])("never has a token that a file gives for a section around it, as %s", (given) => {
    const layers = layersOf(`agent: ${given}`, `agent: { auth: ${given} }`, "agent: { auth: { token: other } }")
    const values = Result.getOrThrow(parseLayers(layers))
    for (const key of ["agent.auth.token", "agent.auth", "agent.token", "agent"]) {
      expect(JSON.stringify(explainKey(layers, values, Result.getOrThrow(findKey(key))))).not.toContain("s3cret")
    }
    expect(told(layers, "agent.auth.token").slice(1, 3)).toEqual([
      ["b.yaml:1", "(not shown)", "agent.auth"],
      ["a.yaml:1", "(not shown)", "agent"]
    ])
  })

  it("never has a token that a file gives as a map, which a later one replaces", () => {
    for (const around of ["agent: { token: VALUE }", "agent: { auth: { token: VALUE } }"]) {
      const layers = layersOf(around.replace("VALUE", "{ value: s3cret }"), around.replace("VALUE", "other"))
      const values = Result.getOrThrow(parseLayers(layers))
      for (const key of ["agent.auth.token", "agent.auth", "agent.token", "agent"]) {
        expect(JSON.stringify(explainKey(layers, values, Result.getOrThrow(findKey(key))))).not.toContain("s3cret")
      }
    }
  })

  it("says of a token that there is none, and that a layer takes it away", () => {
    for (const text of ["{}", "agent: { token: \"\" }", "agent: { token: null, auth: { token: null } }"]) {
      const layers = layersOf(text)
      expect(explainKey(layers, Result.getOrThrow(parseLayers(layers)), Result.getOrThrow(findKey("agent.token"))).effective)
        .toEqual({ value: undefined, from: [] })
    }
    expect(told(layersOf("agent: { token: s3cret }", "agent: { token: null }"), "agent.token")).toEqual([
      ["b.yaml:1", null],
      ["a.yaml:1", "(not shown)"],
      ["defaults", ""]
    ])
  })
})

describe("the keys that are set in a part", () => {
  it("are those of all layers that still hold, each once", () => {
    const layers = layersOf(
      "task: { limits: { total: 1 }, extraVolumes: [] }\ncontroller: { resources: { limits: { cpu: 1 } } }",
      "task: { limits: { total: 2 } }\ncontroller: { resources: { limits: null } }"
    )
    expect(setBelow(layers, ["task"]).map(shown)).toEqual(["task.limits.total", "task.extraVolumes"])
    expect(setBelow(layers, ["controller"]).map(shown)).toEqual(["controller.resources.limits"])
    expect(setBelow(layers, ["agent"])).toEqual([])
  })
})

describe("a key as it is typed", () => {
  it.each([
    { typed: "", path: [] },
    { typed: "task", path: ["task"] },
    { typed: "task.extraVolumes[0].name", path: ["task", "extraVolumes", 0, "name"] },
    { typed: "task.extraVolumes[12].name", path: ["task", "extraVolumes", 12, "name"] },
    { typed: "task.extraVolumes[0].emptyDir.medium", path: ["task", "extraVolumes", 0, "emptyDir", "medium"] },
    { typed: "controller.podAnnotations.example.com/team", path: ["controller", "podAnnotations", "example.com/team"] },
    { typed: "controller.resources.limits.nvidia.com/gpu", path: ["controller", "resources", "limits", "nvidia.com/gpu"] },
    { typed: "controller.affinity.nodeAffinity", path: ["controller", "affinity", "nodeAffinity"] }
  ])("is $path for $typed", ({ path, typed }) => expect(Result.map(findKey(typed), (_) => _.path)).toEqual(Result.succeed(path)))

  it.each([
    { typed: "tsk.limits", says: "There is no key tsk; did you mean task?" },
    { typed: "task.worker.imag.tag", says: "There is no key task.worker.imag; did you mean task.worker.image?" },
    {
      typed: "image.tag",
      says:
        "There is no key image; the whole name is one of agent.image.tag, controller.image.tag, task.runner.image.tag, task.worker.image.tag."
    },
    { typed: "task.job.zzzz", says: "There is no key task.job.zzzz; known in task.job are " },
    { typed: "task.limits.total.most", says: "There is no key task.limits.total.most; task.limits.total has no keys." },
    { typed: "agent.image.tag.x", says: "There is no key agent.image.tag.x; agent.image.tag has no keys." },
    {
      typed: "task.tolerations.key",
      says: "There is no key task.tolerations.key; task.tolerations is a list, and task.tolerations[0] is an item of it."
    },
    {
      typed: "task.tolerations.1",
      says: "There is no key task.tolerations.1; task.tolerations is a list, and task.tolerations[1] is an item of it."
    },
    { typed: "__proto__", says: "There is no key __proto__; known at the top are admissionPolicies, agent, " }
  ])(
    "is told when it is none: $typed",
    ({ says, typed }) => expect(Result.match(findKey(typed), { onFailure: (_) => _, onSuccess: () => "" })).toContain(says)
  )
})
