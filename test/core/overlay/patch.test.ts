import { describe, expect, it } from "@effect/vitest"
import { install } from "../../../src/core/manifest/installation/install.ts"
import { changesBetween } from "../../../src/core/overlay/patch.ts"
import { configOf } from "../configs.ts"

const pod = (spec: object) => ({ apiVersion: "v1", kind: "Pod", metadata: { name: "p" }, spec })
const patchOf = (from: object, to: object): unknown => {
  const [patch] = changesBetween([pod(from)], [pod(to)]).patches
  return patch === undefined ? undefined : (patch as { readonly spec?: unknown }).spec
}
const names = (...of: ReadonlyArray<string>) => of.map((name) => ({ name }))

describe("a patch", () => {
  it.each([
    { of: "nothing", from: { a: 1, b: { c: [1] } }, to: { a: 1, b: { c: [1] } }, patch: undefined },
    {
      of: "a field that is new, changed or gone",
      from: { a: 1, b: 2, gone: {} },
      to: { a: 3, b: 2, new: {} },
      patch: { a: 3, new: {}, gone: null }
    },
    { of: "a field inside", from: { a: { b: 1, c: 2 } }, to: { a: { b: 1, c: 3 } }, patch: { a: { c: 3 } } },
    { of: "what becomes empty", from: { a: { b: 1 } }, to: { a: {} }, patch: { a: { b: null } } },
    {
      of: "a list with a key of several fields, which is replaced as a whole",
      from: { topologySpreadConstraints: [{ topologyKey: "zone", maxSkew: 1 }], ports: [{ containerPort: 1 }] },
      to: { topologySpreadConstraints: [{ topologyKey: "zone", maxSkew: 2 }], ports: [{ containerPort: 2 }] },
      patch: {
        topologySpreadConstraints: [{ $patch: "replace" }, { topologyKey: "zone", maxSkew: 2 }],
        ports: [{ $patch: "replace" }, { containerPort: 2 }]
      }
    },
    { of: "a list without keys", from: { args: ["a", "b"] }, to: { args: ["a"] }, patch: { args: ["a"] } },
    {
      of: "an element that changed",
      from: { volumes: [{ name: "a", emptyDir: {} }, { name: "b" }] },
      to: { volumes: [{ name: "a", hostPath: { path: "/" } }, { name: "b" }] },
      patch: { volumes: [{ name: "a", hostPath: { path: "/" }, emptyDir: null }] }
    },
    {
      of: "elements that come and go",
      from: { volumes: names("a", "b") },
      to: { volumes: names("b", "c") },
      patch: { volumes: [{ name: "c" }, { name: "a", $patch: "delete" }] }
    },
    { of: "an order that says nothing", from: { volumes: names("a", "b") }, to: { volumes: names("b", "a") }, patch: undefined },
    {
      of: "variables put first, which needs no other",
      from: { env: names("a", "b") },
      to: { env: names("new", "a", "b") },
      patch: { env: names("new") }
    },
    {
      of: "variables put last, which names those before",
      from: { env: names("a", "b", "c") },
      to: { env: names("a", "new", "b", "c") },
      patch: { env: names("a", "new") }
    },
    {
      of: "a variable that changed, which names those before",
      from: { env: [{ name: "a" }, { name: "b", value: "1" }, { name: "c" }] },
      to: { env: [{ name: "a" }, { name: "b", value: "2" }, { name: "c" }] },
      patch: { env: [{ name: "a" }, { name: "b", value: "2" }] }
    },
    {
      of: "another order of variables",
      from: { env: names("a", "b", "c") },
      to: { env: names("b", "a", "c") },
      patch: { env: names("b") }
    },
    {
      of: "a list with a key of several fields",
      from: { ports: [{ containerPort: 1 }] },
      to: { ports: [{ containerPort: 2 }] },
      patch: { ports: [{ $patch: "replace" }, { containerPort: 2 }] }
    },
    {
      of: "elements that their key does not tell apart",
      from: { volumes: names("a") },
      to: { volumes: names("a", "a") },
      patch: { volumes: [{ $patch: "replace" }, ...names("a", "a")] }
    }
  ])("of $of", ({ from, patch, to }) => expect(patchOf(from, to)).toEqual(patch))

  it("says which object it is for, and of its metadata only what changes", () => {
    const account = (annotations: object) => ({
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { name: "a", namespace: "n", labels: { l: "1" }, annotations }
    })
    expect(changesBetween([account({ a: "1" })], [account({ b: "2" })]).patches).toEqual([{
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { name: "a", namespace: "n", annotations: { a: null, b: "2" } }
    }])
  })
})

describe("the difference between installations", () => {
  const between = (values: object) => changesBetween(install(configOf()), install(configOf(values)))

  it("is nothing where the values are the same", () => expect(between({})).toEqual({ patches: [], added: [] }))

  it("is what these values are about", () => {
    const { added, patches } = between({ persistence: { enabled: true }, serviceAccount: { create: false, name: "default" } })
    expect(added.map(({ kind }) => kind)).toEqual(["PersistentVolumeClaim"])
    expect(patches).toContainEqual({
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { name: "agent-job", namespace: "agent-job" },
      $patch: "delete"
    })
    expect(patches).toContainEqual(
      expect.objectContaining({
        kind: "Deployment",
        spec: { template: expect.objectContaining({ spec: { serviceAccountName: "default" } }) }
      })
    )
  })
})
