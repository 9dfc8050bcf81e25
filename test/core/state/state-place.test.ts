// Which backends that the engine notes down mean that a state would be lost with its Pod.
import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import { placesByWorkspace, poolStateTrouble, statePlace, stateTrouble } from "../../../src/core/state/state-place.ts"

const note = (type: string, config: object | null = {}) => Option.some(JSON.stringify({ version: 3, backend: { type, config, hash: 1 } }))

describe("stateTrouble", () => {
  it.each([
    { given: "no backend at all", found: Option.none(), says: /no backend/u },
    { given: "a note without a backend", found: Option.some(`{"version": 3}`), says: /no backend/u },
    { given: "a note that cannot be read", found: Option.some("{"), says: /no backend/u },
    { given: "local in the working directory", found: note("local", { path: null }), says: /backend local/u },
    { given: "local at a relative path", found: note("local", { path: "state/x.tfstate" }), says: /backend local/u },
    { given: "local in the data directory", found: note("local", { path: "/opt/data/work/x.tfstate" }), says: /backend local/u },
    { given: "local at a path that climbs", found: note("local", { path: "/mnt/state/../../opt/data/x" }), says: /backend local/u },
    { given: "local at a path of the Pod that is no claim", found: note("local", { path: "/tmp/x.tfstate" }), says: /backend local/u },
    {
      given: "local in a directory whose name only begins alike",
      found: note("local", { path: "/mnt/statement/x.tfstate" }),
      says: /backend local/u
    },
    { given: "inmem", found: note("inmem"), says: /inmem/u }
  ])("refuses $given", ({ found, says }) => {
    const trouble = Option.getOrElse(stateTrouble(found, ["/mnt/state/"]), () => "nothing")
    expect(trouble).toMatch(says)
    expect(trouble).toMatch(/; give the configuration a backend, or set spec.backend\./u)
  })
  it.each([
    { given: "s3", found: note("s3", { bucket: "b" }) },
    { given: "cloud", found: note("cloud", null) },
    { given: "local on a claim", found: note("local", { path: "/mnt/state/x.tfstate" }) },
    { given: "local at a claim itself, which may be of one file", found: note("local", { path: "/mnt/state" }) }
  ])("accepts $given", ({ found }) => expect(stateTrouble(found, ["/mnt/state"])).toEqual(Option.none()))

  it.each([
    { given: "no directory for it", config: { path: "/mnt/state/x.tfstate" } },
    { given: "null for it", config: { path: "/mnt/state/x.tfstate", workspace_dir: null } },
    { given: "a directory of the Pod", config: { path: "/mnt/state/x.tfstate", workspace_dir: "workspaces" } }
  ])("refuses another workspace of local, wherever its path is, when the backend has $given", ({ config }) => {
    const trouble = Option.getOrElse(stateTrouble(note("local", config), ["/mnt/state"], "pr\nod\u001b"), () => "nothing")
    expect(trouble).toMatch(/^The backend local keeps the state of its workspace pr od in the Pod's own files/u)
    expect(trouble).toMatch(/; take TF_WORKSPACE out of the environment of the engine, or set the backend's workspace_dir to/u)
  })
  it("accepts another workspace of local whose directory is on a claim, and only that", () => {
    const found = note("local", { path: "x.tfstate", workspace_dir: "/mnt/state/workspaces" })
    expect(stateTrouble(found, ["/mnt/state"], "prod")).toEqual(Option.none())
    expect(Option.isSome(stateTrouble(found, ["/mnt/state"], "default"))).toBe(true)
  })
  it("accepts every workspace of a backend elsewhere, of which it need not know it", () => {
    expect(placesByWorkspace(note("s3"))).toBe(false)
    expect(placesByWorkspace(Option.none())).toBe(false)
    expect(placesByWorkspace(note("local"))).toBe(true)
  })
})

describe("statePlace", () => {
  const claims = [{ claimName: "state", mountPath: "/mnt/state" }, {
    claimName: "more",
    mountPath: "/mnt/more"
  }]
  const local = (config: object) => note("local", { path: null, workspace_dir: null, ...config })
  const here = statePlace(local({ path: "/mnt/state/x.tfstate" }), claims)

  it.each([
    { given: "the backend is of another kind", found: note("s3", { path: "/mnt/state/x.tfstate", workspace_dir: null }), mounted: claims },
    { given: "a setting is another one", found: local({ path: "/mnt/state/y.tfstate" }), mounted: claims },
    {
      given: "the claim at its path is another one",
      found: local({ path: "/mnt/state/x.tfstate" }),
      mounted: [{ claimName: "other", mountPath: "/mnt/state" }]
    }
  ])("is another one when $given", ({ found, mounted }) => expect(statePlace(found, mounted)).not.toEqual(here))

  it("is the same whatever else the engine notes, and whatever claims the state is not on", () => {
    const noted =
      `{"version": 4, "backend": {"hash": 2, "config": {"workspace_dir": null, "path": "/mnt/state/x.tfstate"}, "type": "local"}}`
    expect(statePlace(Option.some(noted), claims.slice(0, 1))).toEqual(here)
    const s3 = note("s3", { bucket: "b" })
    expect(statePlace(s3, claims)).toEqual(statePlace(s3, []))
  })

  it("has the claim of other workspaces too", () => {
    const found = local({ workspace_dir: "/mnt/more/workspaces" })
    expect(statePlace(found, claims)).not.toEqual(statePlace(found, claims.slice(0, 1)))
  })

  it("is none before there is a backend", () => {
    expect(statePlace(Option.none(), claims)).toEqual(Option.none())
    expect(statePlace(Option.some("{"), claims)).toEqual(Option.none())
  })

  it.each([
    { given: "nested too deeply to be written again", value: `${"[".repeat(5000)}${"]".repeat(5000)}` },
    { given: "of more values than a backend has", value: JSON.stringify(Array(10_000).fill(0)) }
  ])(
    "is none for a note that is $given",
    ({ value }) => expect(statePlace(Option.some(`{"backend": {"type": "s3", "config": {"a": ${value}}}}`), claims)).toEqual(Option.none())
  )
})

describe("poolStateTrouble", () => {
  it.each([
    { given: "local, as a later override file makes it", found: note("local", { path: null }), says: /to the backend local instead/u },
    { given: "cloud", found: note("cloud", null), says: /to the backend cloud instead/u },
    {
      given: "a type that no engine writes",
      found: note(`s3\u001b[2J\n\u202e${"A".repeat(200_000)}`),
      says: /^The state would go to the backend s3\[2J A{93}… instead/u
    },
    {
      given: "http at an address of its own",
      found: note("http", { address: "http://user:secret@elsewhere.example/state" }),
      says: /^The state would go to another address of the backend http instead/u
    },
    {
      given: "http with a lock of its own",
      found: note("http", { address: null, lock_address: "https://elsewhere.example/secret" }),
      says: /^The lock of the state would go to another lock_address of the backend http instead/u
    },
    {
      given: "http with an unlock of its own",
      found: note("http", { address: null, lock_address: null, unlock_address: "https://elsewhere.example/secret" }),
      says: /^The lock of the state would go to another unlock_address of the backend http instead/u
    },
    {
      given: "http with no lock",
      found: note("http", { lock_address: "" }),
      says: /^The lock of the state would go to another lock_address of the backend http instead/u
    },
    {
      given: "http with the methods of another server",
      found: note("http", { address: null, lock_method: "POST", unlock_method: "DELETE" }),
      says: /^The lock of the state would go to the pool's server by another unlock_method of the backend http than POST;/u
    },
    {
      given: "http with a state that is put",
      found: note("http", { update_method: "PUT" }),
      says: /^The state would go to the pool's server by another update_method of the backend http than POST;/u
    },
    {
      given: "http with no method of the lock, which is that of a look",
      found: note("http", { lock_method: "" }),
      says: /^The lock of the state would go to the pool's server by another lock_method of the backend http than POST;/u
    },
    { given: "no backend", found: Option.none(), says: /to no backend instead/u },
    { given: "a note that cannot be read", found: Option.some("{"), says: /to no backend instead/u }
  ])("refuses $given, and says what to take out", ({ found, says }) => {
    const trouble = Option.getOrElse(poolStateTrouble(found), () => "nothing")
    expect(trouble).toMatch(says)
    expect(trouble).toMatch(/wins over zzzz_agent_job_override\.tf \(its name sorts after that, or is zzzz_agent_job_override\.tofu\)/u)
    expect(trouble).not.toContain("secret")
  })
  it.each([
    { given: "no address", config: { address: null, lock_address: null, unlock_address: null, retry_max: null } },
    { given: "the very methods of the server", config: { lock_method: "POST", unlock_method: "POST", update_method: "POST" } },
    { given: "a setting that leads nowhere else", config: { address: null, retry_max: 5 } },
    { given: "nothing", config: null }
  ])(
    "lets http go on that says $given by itself, since the environment has the address",
    ({ config }) => expect(poolStateTrouble(note("http", config))).toEqual(Option.none())
  )
})
