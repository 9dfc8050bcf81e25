// Which components a base has, what it takes work from, whether it closes all egress, and what its server speaks. NetworkPolicies add up, so a policy that blocks only
// the metadata service opens all the rest again.
import { afterEach, beforeEach, describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { componentsOfOverlays, contentsOf } from "../../../src/cli/values/base-contents.ts"
import { baseLayer, componentLayers } from "../../../src/core/overlay/shipped.ts"

let folder = ""
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "base-"))
})
afterEach(() => rmSync(folder, { recursive: true }))

const elsewhere = "https://git.example.com/agent-job//kustomize"
const listing = (...components: ReadonlyArray<string>) => JSON.stringify({ resources: ["../namespace.yaml"], components })

type ByPath = Readonly<Record<string, string>>

/** Calls `put` with the absolute path of each entry, after making the folder of that path. */
const each = (all: ByPath, put: (path: string, what: string) => void): void => {
  for (const [path, what] of Object.entries(all)) {
    mkdirSync(join(folder, dirname(path)), { recursive: true })
    put(join(folder, path), what)
  }
}

/** Returns what the base contains for an overlay in `out`, beside these files and links. `links` maps the path of a link to its target. */
const contents = (reference: string, files: ByPath, links: ByPath, out = "out") => {
  each(files, (path, text) => writeFileSync(path, text))
  each(links, (path, target) => symlinkSync(target, path))
  return contentsOf({ reference, chosen: true }, join(folder, out))
}

const isClosed = (reference: string, files: ByPath = {}, links: ByPath = {}): boolean =>
  Effect.runSync(contents(reference, files, links)).closed
const refusal = (reference: string, files: ByPath, links: ByPath): string =>
  Effect.runSync(Effect.flip(contents(reference, files, links))).message

describe("a base elsewhere", () => {
  it.each([
    [true, `${elsewhere}/overlays/production?ref=v0.1.0`],
    [true, `${elsewhere}/overlays/production/?ref=v0.1.0&timeout=90s`],
    [true, "git@git.example.com:agent-job//kustomize/overlays/production?ref=v0.1.0"],
    [false, `${elsewhere}/overlays/agent?ref=v0.1.0`],
    [false, `${elsewhere}/base?ref=ours/components/restricted-egress`],
    [false, `${elsewhere}/overlays/production-of-ours?ref=v0.1.0`],
    [false, "https://git.example.com/ours//overlays/production?ref=main"]
  ])("closes all egress: %s, by its name %s", (closed, reference) => expect(isClosed(reference)).toBe(closed))
})

describe("a base on this machine", () => {
  it.each<{ given: string; closed: boolean; files: ByPath }>([
    {
      given: "names the component",
      closed: true,
      files: { "mine/kustomization.yaml": listing(`${elsewhere}/components/restricted-egress?ref=v0.1.0`) }
    },
    {
      given: "names another",
      closed: false,
      files: { "mine/kustomization.yaml": listing(`${elsewhere}/components/restrict-metadata?ref=v0.1.0`) }
    },
    {
      given: "names it in a comment",
      closed: false,
      files: { "mine/kustomization.yaml": `components:\n# - ${elsewhere}/components/restricted-egress?ref=v0.1.0\n` }
    },
    {
      given: "is over the overlay for production",
      closed: true,
      files: { "mine/kustomization.yaml": `resources: ["${elsewhere}/overlays/production?ref=v0.1.0"]` }
    },
    {
      given: "is over another that names a copy of it",
      closed: true,
      files: {
        "mine/kustomization.yaml": "resources: [../team]",
        "team/kustomization.yml": listing("../components/restricted-egress"),
        "components/restricted-egress/kustomization.yaml": ""
      }
    },
    {
      given: "has a component that names one beside it",
      closed: true,
      files: {
        "mine/kustomization.yaml": listing("../components/all"),
        "components/all/Kustomization": listing("../restricted-egress"),
        "components/restricted-egress/kustomization.yaml": ""
      }
    },
    {
      given: "is over one for production that does not",
      closed: false,
      files: {
        "mine/kustomization.yaml": "resources: [../kustomize/overlays/production]",
        "kustomize/overlays/production/kustomization.yaml": listing()
      }
    },
    {
      given: "is over one that is over itself",
      closed: false,
      files: { "mine/kustomization.yaml": "resources: [../team]", "team/kustomization.yaml": "resources: [../mine, .]" }
    },
    {
      given: "lists a folder with a folder of the name of a kustomization beside the file",
      closed: true,
      files: {
        "mine/kustomization.yaml": "resources: [../team]",
        "team/kustomization.yaml/a.md": "",
        "team/Kustomization": listing(`${elsewhere}/components/restricted-egress?ref=v0.1.0`)
      }
    },
    {
      given: "lists a folder with only a folder of that name",
      closed: false,
      files: { "mine/kustomization.yaml": "resources: [../team]", "team/Kustomization/a.md": "" }
    },
    { given: "lists files", closed: false, files: { "mine/kustomization.yaml": "resources: [a.yaml, missing.yaml]", "mine/a.yaml": "" } },
    { given: "is none that kustomize would take", closed: false, files: { "mine/kustomization.yaml": "resources: [" } }
  ])("closes all egress, $closed, where it $given", ({ closed, files }) => expect(isClosed("../mine", files)).toBe(closed))
})

describe("the server", () => {
  const speaks = (reference: string, files: ByPath = {}) => Effect.runSync(contents(reference, files, {})).server

  it.each([
    ["http", `${elsewhere}/overlays/standalone?ref=v0.1.0`],
    ["http", `${elsewhere}/components/server?ref=v0.1.0`],
    ["http", "https://git.example.com/agent-job//flux/platform/standalone?ref=v0.1.0"],
    ["http", `${elsewhere}/argo-cd/standalone?ref=v0.1.0`],
    ["none", `${elsewhere}/overlays/production?ref=v0.1.0`],
    ["none", "https://git.example.com/ours//components/server?ref=v0.1.0"]
  ])("of a base elsewhere speaks %s, by its name %s", (expected, reference) => expect(speaks(reference)).toBe(expected))

  it.each([
    ["http", listing(`${elsewhere}/components/server?ref=v0.1.0`)],
    ["http", listing("../kustomize/components/server")],
    ["http", JSON.stringify({ resources: ["../kustomize/overlays/standalone"] })],
    ["http", listing("../kustomize/components/server", "https://git.example.com/ours//components/server-tls?ref=v0.1.0")],
    ["none", JSON.stringify({ resources: ["../kustomize/overlays/agent"] })],
    ["none", listing("../kustomize/components/server-tls")],
    ["https", JSON.stringify({ resources: ["../team"] })],
    ["https", listing(`${elsewhere}/components/server?ref=v0.1.0`, `${elsewhere}/components/server-tls?ref=v0.1.0`)]
  ])("of a base on this machine speaks %s, where it is %s", (expected, kustomization) =>
    expect(speaks("../mine", {
      "mine/kustomization.yaml": kustomization,
      "team/kustomization.yaml": listing("../kustomize/overlays/standalone", "../kustomize/components/server-tls"),
      "kustomize/overlays/standalone/kustomization.yaml": "components: [../../components/server]",
      "kustomize/overlays/agent/kustomization.yaml": "components: [../../components/pool]",
      "kustomize/components/server/kustomization.yaml": "",
      "kustomize/components/server-tls/kustomization.yaml": "",
      "kustomize/components/pool/kustomization.yaml": ""
    })).toBe(expected))
})

it.each([
  [true, `${elsewhere}/overlays/production?ref=v0.1.0`],
  [false, "https://git.example.com/agent-job//flux/platform/production?ref=v0.1.0"],
  [true, "../mine"],
  [false, "../team"]
])("a base has the definition of AgentTask, %s, unless it has component without-crd: %s", (definition, reference) => {
  const files = {
    "mine/kustomization.yaml": listing(),
    "team/kustomization.yaml": listing(`${elsewhere}/components/without-crd?ref=v0.1.0`)
  }
  expect(Effect.runSync(contents(reference, files, {})).definition).toBe(definition)
})

describe("what a base sets where the values say nothing", () => {
  const layers = (reference: string, files: ByPath = {}) => Effect.runSync(contents(reference, files, {})).layers
  const { admission, ha, "no-ingress": noIngress, persistence, "restrict-metadata": restrictMetadata, "separate-users": separateUsers } =
    componentLayers

  const ownServer = { agent: { url: "http://agent-job-server.agent-job.svc:8080", tokenExistingSecret: { name: "agent-job-pool-token" } } }

  it.each([
    { reference: `${elsewhere}/base?ref=v0.1.0`, expected: [] },
    { reference: `${elsewhere}/overlays/standalone?ref=v0.1.0`, expected: [baseLayer, admission, noIngress, restrictMetadata, ownServer] },
    { reference: `${elsewhere}/overlays/production/?ref=v0.1.0`, expected: [baseLayer, admission, ha, noIngress, separateUsers] },
    { reference: "https://git.example.com/ours//overlays/standalone?ref=v0.1.0", expected: [] }
  ])("is known of a base elsewhere by its name: $reference", ({ expected, reference }) => expect(layers(reference)).toEqual(expected))

  it.each<{ given: string; listed: ReadonlyArray<string>; expected: ReadonlyArray<object> }>([
    { given: "no component", listed: [], expected: [] },
    { given: "a component of somebody else's", listed: ["https://git.example.com/ours//components/ha?ref=v1"], expected: [] },
    {
      given: "components with layers",
      listed: ["../kustomize/components/persistence", `${elsewhere}/components/ha?ref=v0.1.0`],
      expected: [baseLayer, ha, persistence]
    },
    { given: "a component without one", listed: [`${elsewhere}/components/monitoring?ref=v0.1.0`], expected: [baseLayer] }
  ])(
    "is known of a base on this machine by what it lists: $given",
    ({ expected, listed }) =>
      expect(
        layers("../mine", { "mine/kustomization.yaml": listing(...listed), "kustomize/components/persistence/kustomization.yaml": "" })
      )
        .toEqual(expected)
  )

  it.each(Object.keys(componentsOfOverlays))("is the same of %s here and elsewhere, but for literals that people edit", async (overlay) => {
    const of = (reference: string) => Effect.runPromise(contentsOf({ reference, chosen: true }, "."))
    const here = await of(overlay)
    const isEdited = ["kustomize/overlays/agent", "kustomize/overlays/production"].includes(overlay)
    expect(await of(`https://git.example.com/agent-job//${overlay}?ref=v0.1.0`)).toEqual(
      isEdited ? { ...here, layers: here.layers.slice(0, -1), present: here.present.slice(0, -1), unreadPool: true } : here
    )
    expect(here.layers.length).toBeGreaterThan(1)
  })

  it("has no component twice: one that is in the base is not to be added", () => {
    const files = {
      "base/kustomization.yaml": listing("../kustomize/components/ha"),
      "components/ha/kustomization.yaml": "",
      "components/mtls/kustomization.yaml": "",
      "kustomize/components/ha/kustomization.yaml": ""
    }
    expect(Effect.runSync(contents("../base", files, {})).available.map(({ name }) => name)).toEqual(["mtls"])
  })
})

describe("what a base takes work from", () => {
  const literals = (url: string, secret?: string) => ({
    name: "agent-job-pool",
    literals: [`url=${url}`, ...(secret === undefined ? [] : [`secret=${secret}`])]
  })
  const [hub, spoke] = [literals("http://agent-job-server.hub:8080", "token-of-hub"), literals("https://spoke.example.com")]
  const pool = "../kustomize/components/pool"
  const over = (resource: string, generators: ReadonlyArray<object>, ...components: ReadonlyArray<string>) =>
    JSON.stringify({ resources: [resource], configMapGenerator: generators, components })
  const ofPool = { configMapGenerator: [{ name: "agent-job-config", behavior: "merge", files: ["pool.yaml"] }] }
  const given = (files: ByPath) =>
    Effect.runSync(contents("../mine", {
      "kustomize/components/pool/kustomization.yaml": JSON.stringify(ofPool),
      "own/kustomization.yaml": JSON.stringify({ components: [pool] }),
      "ours/kustomization.yaml": over(`${elsewhere}/base?ref=v0.1.0`, [hub], "../own"),
      "team/kustomization.yaml": over(`${elsewhere}/base?ref=v0.1.0`, [hub], pool),
      ...files
    }, {}))

  it.each<{ given: string; mine: string; is: readonly [url: string, secret: string] | undefined }>([
    { given: "its literals", mine: over("../a", [hub], pool), is: ["http://agent-job-server.hub:8080", "token-of-hub"] },
    {
      given: "its literals in quotes",
      mine: over("../a", [literals("'https://a.example.com/?b=c'", "\"s\"")], pool),
      is: ["https://a.example.com/?b=c", "s"]
    },
    {
      given: "those of a base below, with one merged, and the component once more",
      mine: over("../team", [spoke], pool),
      is: ["https://spoke.example.com", "token-of-hub"]
    },
    {
      given: "those of a base below, with one merged that the component has not seen",
      mine: over("../team", [spoke]),
      is: ["http://agent-job-server.hub:8080", "token-of-hub"]
    },
    {
      given: "those of a component beside it",
      mine: over("../a", [hub], `${elsewhere}/components/pool?ref=v0.1.0`),
      is: ["http://agent-job-server.hub:8080", "token-of-hub"]
    },
    {
      given: "those when a component with it was used last",
      mine: over("../ours", [spoke], "../own"),
      is: ["https://spoke.example.com", "token-of-hub"]
    },
    {
      given: "those over an overlay elsewhere",
      mine: over(`${elsewhere}/overlays/production?ref=v0.1.0`, [hub], pool),
      is: ["http://agent-job-server.hub:8080", "token-of-hub"]
    },
    {
      given: "one alone over an overlay elsewhere",
      mine: over(`${elsewhere}/overlays/production?ref=v0.1.0`, [spoke], pool),
      is: undefined
    },
    { given: "an overlay elsewhere", mine: over(`${elsewhere}/overlays/agent?ref=v0.1.0`, []), is: undefined },
    {
      given: "files",
      mine: over("../team", [{ name: "agent-job-pool", behavior: "merge", envs: ["pool.env"] }], pool),
      is: undefined
    },
    { given: "literals that Flux replaces", mine: over("../a", [literals("https://${host}", "s")], pool), is: undefined },
    { given: "literals that are none", mine: over("../a", [literals("server", "s")], pool), is: undefined },
    { given: "a layer in place of the component's", mine: over("../team", ofPool.configMapGenerator), is: undefined }
  ])("is what the component was given last: $given", ({ is, mine }) => {
    const { layers, present, unreadPool } = given({ "mine/kustomization.yaml": mine })
    const found = present.find(({ name }) => name === "pool")?.layer
    expect([found, unreadPool]).toEqual(
      is === undefined ? [undefined, true] : [{ agent: { url: is[0], tokenExistingSecret: { name: is[1] } } }, false]
    )
    expect(layers.at(-1)).toEqual(found ?? layers.at(-1))
  })

  it("is nothing where it has no pool", () => {
    const { present, unreadPool } = given({ "mine/kustomization.yaml": over("../a", [hub]) })
    expect([present, unreadPool]).toEqual([[], false])
  })
})

describe("a base behind a link", () => {
  const egress: ByPath = { "kustomize/components/restricted-egress/kustomization.yaml": "" }
  it.each<{ given: string; closed: boolean; files: ByPath; links: ByPath }>([
    {
      given: "lists what is beside the place where the link leads",
      closed: true,
      files: {
        "real/mine/kustomization.yaml": "resources: [../team]",
        "real/team/kustomization.yaml": listing("../../kustomize/components/restricted-egress"),
        ...egress
      },
      links: { mine: "real/mine" }
    },
    {
      given: "has a namesake of that beside the link",
      closed: false,
      files: {
        "real/mine/kustomization.yaml": "resources: [../team]",
        "real/team/kustomization.yaml": listing(),
        "team/kustomization.yaml": listing("../kustomize/components/restricted-egress"),
        ...egress
      },
      links: { mine: "real/mine" }
    },
    {
      given: "lists a link to the component",
      closed: true,
      files: { "mine/kustomization.yaml": listing("../closed"), ...egress },
      links: { closed: "kustomize/components/restricted-egress" }
    },
    {
      given: "lists the component in a folder that is a link",
      closed: true,
      files: { "mine/kustomization.yaml": listing("../components/restricted-egress"), "ours/restricted-egress/kustomization.yaml": "" },
      links: { components: "ours" }
    }
  ])("closes all egress, $closed, where it $given", ({ closed, files, links }) => expect(isClosed("../mine", files, links)).toBe(closed))

  it("is looked into from where the overlay's folder really is, from which it is named", () => {
    const files = { "mine/kustomization.yaml": listing("../kustomize/components/restricted-egress"), "deep/place/a.md": "", ...egress }
    expect(Effect.runSync(contents("../../../mine", files, { link: "deep/place" }, "link/out")).closed).toBe(true)
  })
})

describe("a base that cannot be read", () => {
  it.each<{ given: string; at: string; why: string; files: ByPath; links: ByPath }>([
    {
      given: "its own kustomization leads to itself",
      at: "mine",
      why: "too many symbolic links encountered",
      files: {},
      links: { "mine/kustomization.yaml": "kustomization.yaml" }
    },
    {
      given: "that of what it lists leads to itself",
      at: "team",
      why: "too many symbolic links encountered",
      files: { "mine/kustomization.yaml": "resources: [../team]" },
      links: { "team/kustomization.yaml": "kustomization.yaml" }
    },
    {
      given: "that of what it lists is there but gives nothing",
      at: "team",
      why: "i/o error",
      files: { "mine/kustomization.yaml": "resources: [../team]" },
      links: { "team/kustomization.yml": "/proc/self/mem" }
    }
  ])(
    "is refused, with the place and what to do, where $given",
    ({ at, why, files, links }) =>
      expect(refusal("../mine", files, links)).toBe(
        `Cannot read the kustomization in ${join(folder, at)} (${why}); correct that, or name another base with --base.`
      )
  )

  it("is refused as well for a component beside it", () =>
    expect(refusal("../base", { "base/kustomization.yaml": "" }, { "components/persistence/kustomization.yaml": "kustomization.yaml" }))
      .toContain(join(folder, "components/persistence")))
})

describe("a base with a values.yaml, which that of an overlay over it would replace as a whole", () => {
  const mine = (generator: object): ByPath => ({
    "mine/kustomization.yaml": "resources: [../team]",
    "team/kustomization.yaml": JSON.stringify({ configMapGenerator: [{ name: "agent-job-config", behavior: "merge", ...generator }] })
  })

  it.each([
    { files: ["values.yaml"] },
    { files: ["team.yaml", "values/values.yaml"] },
    { files: ["values.yaml=team.yaml"] },
    { literals: ["values.yaml=agent: { url: https://server.example.com }"] }
  ])("is refused, with the place and what to do: %j", (generator) =>
    expect(refusal("../mine", mine(generator), {})).toBe(
      `The base has a values.yaml in ${
        join(folder, "team")
      }, which that of this overlay would replace as a whole; name the base below it with --base, and give that file to agent-job overlay with --values too; or, if all that it says is about tasks, give it another name there, such as team.yaml.`
    ))

  it.each([
    { files: ["team.yaml"] },
    { files: ["team.yaml=values.yaml", "my-values.yaml"], literals: null },
    { name: "mine", files: ["values.yaml"] }
  ])("is none where it has another name: %j", (generator) => expect(isClosed("../mine", mine(generator))).toBe(false))
})
