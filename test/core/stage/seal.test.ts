// What an approval covers: every part of a seal, and a name for each part that is another one now.
import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { brokenSeal, differences, sealText } from "../../../src/core/stage/seal.ts"
import { Sha256 } from "../../../src/schema/names.ts"
import { Seal } from "../../../src/schema/task/seal.ts"
import { VariableName } from "../../../src/schema/task/variable.ts"
import { seal } from "../../worker/seals.ts"

const other = Sha256.make("f".repeat(64))
const { variables } = seal()
const many = Object.fromEntries(Array.from({ length: 11 }, (_, at) => [`v${String(at).padStart(2, "0")}`, other]))

const rows: ReadonlyArray<
  { readonly changed: string; readonly now: Partial<Seal>; readonly sealed?: Partial<Seal>; readonly words: ReadonlyArray<string> }
> = [
  { changed: "nothing", now: {}, words: [] },
  { changed: "the order of its variables", now: { variables: Object.fromEntries(Object.entries(variables).reverse()) }, words: [] },
  { changed: "the archive", now: { configuration: other }, words: ["another configuration archive"] },
  { changed: "where the engine keeps the state", now: { backend: other }, words: ["another backend of the state"] },
  {
    changed: "the directory",
    sealed: { directory: "live" },
    now: { directory: "" },
    words: ["another working directory (live, now the archive's root)"]
  },
  {
    changed: "the engine",
    now: { engine: { name: "terraform", version: "1.12.6" } },
    words: ["another engine (tofu 1.12.6, now terraform 1.12.6)"]
  },
  {
    changed: "the engine's version",
    now: { engine: { name: "tofu", version: "1.12.7" } },
    words: ["another engine (tofu 1.12.6, now tofu 1.12.7)"]
  },
  { changed: "the lock file", now: { lockFile: other }, words: ["another provider lock file"] },
  { changed: "the lock file, which is gone", now: { lockFile: null }, words: ["another provider lock file"] },
  { changed: "the plan", now: { plan: other }, words: ["another plan file"] },
  { changed: "the state, which went on", now: { state: { lineage: "one", serial: 5 } }, words: ["another state (serial 4, now serial 5)"] },
  {
    changed: "the state, which went back",
    now: { state: { lineage: "one", serial: 3 } },
    words: ["another state (serial 4, now serial 3)"]
  },
  { changed: "the state, of another origin", now: { state: { lineage: "two", serial: 4 } }, words: ["a state of another lineage"] },
  { changed: "the state, which is gone", now: { state: "none" }, words: ["another state (serial 4, now none)"] },
  {
    changed: "the state, which is new",
    sealed: { state: "none" },
    now: { state: { lineage: "one", serial: 1 } },
    words: ["another state (none, now serial 1)"]
  },
  { changed: "where the state is", now: { state: "engine" }, words: ["another state (serial 4, now kept by the engine's backend)"] },
  { changed: "a value", now: { variables: { ...variables, region: other } }, words: ["other variables (region)"] },
  { changed: "two values", now: { variables: { region: other, db_password: other } }, words: ["other variables (db_password, region)"] },
  {
    changed: "which variables there are",
    now: { variables: { ...variables, constructor: other } },
    words: ["other variables (constructor)"]
  },
  {
    changed: "many values",
    now: { variables: { ...variables, ...many } },
    words: ["other variables (v00, v01, v02, v03, v04, v05, v06, v07 and 3 more)"]
  },
  {
    changed: "as many values as are named",
    now: { variables: { ...variables, ...Object.fromEntries(Object.entries(many).slice(0, 8)) } },
    words: ["other variables (v00, v01, v02, v03, v04, v05, v06, v07)"]
  },
  { changed: "a module", now: { modules: { ...seal().modules, vpc: other } }, words: ["other modules (vpc)"] },
  { changed: "which modules there are", now: { modules: {} }, words: ["other modules (modules.json, vpc)"] },
  { changed: "the environment", now: { environment: {} }, words: ["other environment variables (AWS_REGION)"] },
  {
    changed: "much",
    now: { plan: other, lockFile: null, environment: {} },
    words: ["another provider lock file", "another plan file", "other environment variables (AWS_REGION)"]
  }
]

const Part = Schema.Literals([
  "backend",
  "configuration",
  "directory",
  "engine",
  "environment",
  "lockFile",
  "modules",
  "plan",
  "state",
  "variables"
])
const wordsOf: Readonly<Record<typeof Part.Type, RegExp>> = {
  backend: /another backend of the state/u,
  configuration: /configuration archive/u,
  directory: /working directory/u,
  engine: /another engine/u,
  environment: /environment variables/u,
  lockFile: /lock file/u,
  modules: /other modules/u,
  plan: /plan file/u,
  state: /state/u,
  variables: /other variables/u
}

/** One of a few digests, so that two seals have the same one in some parts and another one in others. */
const Digest = Schema.Literals([Sha256.make("0".repeat(64)), Sha256.make("a".repeat(64)), other])
const digests = Schema.Record(Schema.String, Digest)
const Any = Schema.Struct({
  ...Seal.fields,
  backend: Schema.optionalKey(Digest),
  configuration: Digest,
  environment: digests,
  lockFile: Schema.NullOr(Digest),
  modules: digests,
  plan: Digest,
  variables: digests
})

const named = Schema.Record(VariableName, Digest)
/** As engines name modules: a key of one escaped character, JSON.parse of V8 13.6 may take for a backslash that another object had there. */
const modules = Schema.Record(Schema.String.check(Schema.isPattern(/^[\w.-]*$/u)), Digest)
/** Seals as the worker makes them, with the modules and variables that a task can have. */
const Made = Schema.Struct({ ...Any.fields, environment: named, modules, variables: named })

describe("a seal", () => {
  it.each(rows)(
    "names $changed",
    ({ now, sealed = {}, words }) => expect(differences(seal(sealed), seal({ ...sealed, ...now }))).toEqual(words)
  )

  it("says in one sentence what is not as it was", () => {
    expect(brokenSeal(differences(seal(), seal({ variables: { region: other, db_password: other } })))).toBe(
      "The saved plan was made with other variables (db_password, region) than this apply would get; plan again."
    )
    expect(brokenSeal(["another plan file", "a state of another lineage"])).toBe(
      "The saved plan was made with another plan file and a state of another lineage than this apply would get; plan again."
    )
    expect(brokenSeal(["another engine (tofu 1.12.6, now tofu 1.12.7)", "another plan file", "a state of another lineage"])).toBe(
      "The saved plan was made with another engine (tofu 1.12.6, now tofu 1.12.7), another plan file and a state of another lineage than this apply would get; plan again."
    )
  })

  it.prop("is broken by nothing when nothing changed, and is the same text however it is written", [Made], ([sealed]) => {
    const again = Schema.decodeUnknownSync(Schema.fromJsonString(Seal))(sealText(sealed))
    const turned = Object.fromEntries(Object.entries(again).reverse()) as typeof again
    return differences(sealed, again).length === 0 && sealText(turned) === sealText(sealed)
  })

  it.prop("names the one part that changed", [Any, Any, Part], ([sealed, elsewhere, part]) => {
    const now = { ...sealed, [part]: elsewhere[part] }
    const words = differences(sealed, now)
    return sealText(now) === sealText(sealed) ? words.length === 0 : words.length === 1 && wordsOf[part].test(words.join())
  })

  it.prop(
    "has another text exactly when a part is named",
    [Any, Any],
    ([one, two]) => (sealText(one) === sealText(two)) === (differences(one, two).length === 0)
  )

  it.prop("names each variable that changed", [digests, Schema.String], ([before, name]) => {
    const sealed = { ...before, [name]: other }
    const words = [
      { ...before, [name]: Sha256.make("0".repeat(64)) },
      Object.fromEntries(Object.entries(sealed).filter(([key]) => key !== name))
    ].map((now) => differences(seal({ variables: sealed }), seal({ variables: now })))
    return words.every(([first, ...more]) => first === `other variables (${name})` && more.length === 0)
  })
})
