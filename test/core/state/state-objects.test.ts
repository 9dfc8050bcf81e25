// The objects of a state, by their addresses.
import { describe, expect, it } from "@effect/vitest"
import { contentOf, hasObject, hasTainted, isEncrypted, stateObjects } from "../../../src/core/state/state-objects.ts"

const resource = (more: Record<string, unknown>) => ({
  mode: "managed",
  type: "time_sleep",
  name: "a",
  instances: [{ attributes: { id: "1" } }],
  ...more
})
const state = (...resources: ReadonlyArray<Record<string, unknown>>) => stateObjects(JSON.stringify({ version: 4, serial: 1, resources }))

describe("stateObjects", () => {
  it.each([
    ["time_sleep.a", resource({})],
    ["module.m.time_sleep.a", resource({ module: "module.m" })],
    [`module.m["x"].time_sleep.a[2]`, resource({ module: `module.m["x"]`, instances: [{ index_key: 2, attributes: { id: "1" } }] })],
    [`time_sleep.a["say \\"hi\\" $\${x}"]`, resource({ instances: [{ index_key: `say "hi" \${x}`, attributes: { id: "1" } }] })]
  ])("finds %s", (address, one) => expect(hasObject(state(one), address, "id", "1")).toBe(true))

  it.each([
    { escaped: String.raw`ideographic\u3000space, soft\u00adhyphen`, key: "ideographic\u3000space, soft\u00adhyphen" },
    { escaped: String.raw`🏴\U000e0067\U000e007f`, key: "🏴\u{e0067}\u{e007f}" },
    { escaped: String.raw`back\\u3000slash`, key: String.raw`back\u3000slash` },
    { escaped: String.raw`next\u0085 bell\u0007 delete\u007f`, key: "next\u0085 bell\u0007 delete\u007f" }
  ])("finds the key $escaped, in which the engine escapes what it cannot print", ({ escaped, key }) => {
    const module = `module.m["${escaped}"]` // a state has the key of an instance as it is, but those of modules in their address
    const address = `${module}.time_sleep.a["${escaped}"]`
    expect(hasObject(state(resource({ module, instances: [{ index_key: key }] })), address, undefined, undefined)).toBe(true)
  })
  it("does not find what no engine writes", () =>
    expect(hasObject(state(resource({})), String.raw`time_sleep.a["\Uffffffff"]`, undefined, undefined)).toBe(false))

  it("tells an object from another one at the same address", () => {
    const replaced = state(resource({ instances: [{ attributes: { id: "new" } }, { deposed: "1a2b3c4d", attributes: { id: "old" } }] }))
    expect(["new", "old", "other"].map((id) => hasObject(replaced, "time_sleep.a", "id", id))).toEqual([true, true, false])
    expect(hasObject(replaced, "time_sleep.a", undefined, undefined)).toBe(true)
  })
  it.each([{ status: "tainted" }, { attributes: null }, { attributes: {} }])(
    "finds no id in an object that has none: %j",
    (instance) => expect(hasObject(state(resource({ instances: [instance] })), "time_sleep.a", "id", "1")).toBe(false)
  )
  it("is found in one pass, and keeps no more than a hundred of the objects that an engine which means harm puts at one address", () => {
    const many = Array.from({ length: 300_000 }, (_, at) => ({ attributes: { id: `${at}` } }))
    const objects = state(resource({ instances: many.slice(0, 150_000) }), resource({ instances: many.slice(150_000) }))
    expect(objects.get("time_sleep.a")).toHaveLength(100) // an apply names 40,000 addresses, of which each may mean this one
    expect(["0", "99", "100"].map((id) => hasObject(objects, "time_sleep.a", "id", id))).toEqual([true, true, false])
  })
  it("keeps no more of those whose long addresses have one key, by which a journal names them too", () => {
    const many = Array.from({ length: 1000 }, () => ({ index_key: "k".repeat(2000), status: "tainted" }))
    const objects = state(resource({ instances: many }))
    expect([...objects.values()].map(({ length }) => length)).toEqual([100])
    expect(hasTainted(objects, `another${[...objects.keys()].join("")}`)).toBe(true)
  })
  it("is found in one pass, however long the name is that very many of them have", () => {
    const many = Array.from({ length: 100_000 }, (_, index_key) => ({ index_key }))
    const objects = state(resource({ name: "n".repeat(1_000_000), instances: many }))
    expect(Math.max(...[...objects.keys()].map(({ length }) => length))).toBeLessThan(10)
  })
  it("knows what a failed creation left", () => {
    expect(hasTainted(state(resource({ instances: [{ status: "tainted", attributes: { id: "1" } }] })), "time_sleep.a")).toBe(true)
    const escaped = resource({ instances: [{ index_key: "\u3000", status: "tainted" }] })
    expect(hasTainted(state(escaped), String.raw`time_sleep.a["\u3000"]`)).toBe(true)
    const besides = resource({ instances: [{ attributes: { id: "2" } }, { deposed: "1a2b3c4d", status: "tainted" }] })
    expect(hasTainted(state(besides), "time_sleep.a")).toBe(true)
    expect(["time_sleep.a", "time_sleep.b"].map((address) => hasTainted(state(resource({})), address))).toEqual([false, false])
  })
  it.each([
    "",
    "null",
    "{}",
    `{"version":3,"modules":[]}`,
    `{"version":4,"resources":{}}`,
    ...["[]", "7", `{"index_key":{}}`].map((instance) =>
      `{"version":4,"resources":[{"mode":"managed","type":"a","name":"b","instances":[{},${instance}]}]}`
    )
  ])("has nothing of %s", (text) => expect(stateObjects(text).size).toBe(0))
  it.each([
    [`{"serial":1,"lineage":"l","meta":{},"encrypted_data":"krIj","encryption_version":"v0"}`, true],
    [`{"version":4,"serial":1,"lineage":"l","resources":[]}`, false],
    ["", false]
  ])("knows whether %s is encrypted", (text, is) => expect(isEncrypted(text)).toBe(is))
  it("has no data sources", () => expect(state(resource({ mode: "data" })).size).toBe(0))
})

describe("contentOf", () => {
  const mebibyte = 1024 * 1024
  const objects = `"resources":[{"mode":"managed","type":"t","name":"n","instances":[{"index_key":1}]}]`
  const crowded = (many: number) =>
    `{"version":4,"resources":[{"mode":"managed","type":"t","name":"n","instances":[${Array(many).fill("{}").join()}]}]}`

  it.each([
    { given: "its objects", text: `{"version":4,${objects}}`, heap: mebibyte, found: 1, unread: undefined },
    { given: "none, where there are none", text: `{"version":4,"resources":[]}`, heap: mebibyte, found: 0, unread: undefined },
    { given: "none of an encrypted state", text: `{"encrypted_data":"x"}`, heap: mebibyte, found: 0, unread: "encrypted" },
    {
      given: "none of an encrypted state that has objects beside that",
      text: `{"version":4,"encrypted_data":"x",${objects}}`,
      heap: mebibyte,
      found: 0,
      unread: "encrypted"
    },
    {
      given: "none where there are too many for the memory of the process",
      text: `{"version":4,${objects}}`,
      heap: 1024,
      found: 0,
      unread: "too-large"
    },
    {
      given: "none where something is nested too deeply",
      text: `{"version":4,${objects},"outputs":${"[".repeat(500)}${"]".repeat(500)}}`,
      heap: mebibyte,
      found: 0,
      unread: "too-large"
    },
    { given: "all, where few are at one address", text: crowded(99), heap: mebibyte, found: 1, unread: undefined },
    { given: "none, where too many are at one address to be compared", text: crowded(100), heap: mebibyte, found: 0, unread: "too-large" }
  ])("gives $given", ({ found, heap, text, unread }) => {
    const content = contentOf(heap, new TextEncoder().encode(text))
    expect({ ...content, objects: content.objects.size }).toEqual({ objects: found, unread })
  })
})
