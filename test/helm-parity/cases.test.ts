// What is rendered keeps the promises of the Helm chart's README: for the committed cases, and for more that the property seed makes.
import { describe, expect, it } from "@effect/vitest"
import { Arbitrary, Result, Schema } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { parse, stringify } from "yaml"
import { treeOf } from "../core/manifest/changes.ts"
import { effects } from "../core/manifest/value-effects.ts"
import { chartKeys, ourKeys } from "../schema/value-keys.ts"
import { allBroken } from "./broken-promises.ts"
import { fileOf, isTree, type Tree } from "./chart-values.ts"
import { choices } from "./choices.ts"
import { compare } from "./compare.ts"
import type { Accepted, Facts, Refused } from "./facts.ts"
import { generatedFile, generatedGiven, generatedRelease, keys } from "./generated-values.ts"
import { factsOf } from "./model.ts"
import { mutations } from "./mutations.ts"
import type { Objects } from "./objects.ts"
import { countOfMistakes, refusable } from "./refusals.ts"
import { rendered } from "./rendered.ts"

const folders = (kind: "cases" | "refused") => readdirSync(join(import.meta.dirname, kind)).sort()
const read = (...path: ReadonlyArray<string>): string => readFileSync(join(import.meta.dirname, ...path), "utf8")
const acceptedCases = folders("cases").map((folder) => ({
  folder,
  text: read("cases", folder, "values.yaml"),
  fact: JSON.parse(read("cases", folder, "expected.json")) as Accepted
}))
const refusedCases = folders("refused").map((folder) => ({
  folder,
  text: read("refused", folder, "values.yaml"),
  fact: JSON.parse(read("refused", folder, "refused.json")) as Refused
}))

/** Returns the checks of facts that do not hold. */
const broken = (facts: Facts, objects: Objects) => compare(facts, objects).filter(({ holds }) => !holds)
const names = (said: string, path: string): boolean => new RegExp(`(?<![\\w.])${path.replaceAll(".", "\\.")}(?!\\w)`, "u").test(said)

/** Returns the message for a file that is refused, or "nothing" if it is accepted. */
const saidOf = (text: string, release: { readonly name: string; readonly namespace: string }): string =>
  Result.match(rendered(text, release), { onFailure: (said) => said, onSuccess: () => "nothing" })

const Seed = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 31 })))

describe("a committed case", () => {
  it.each(acceptedCases)(
    "$folder holds",
    ({ fact, text }) => expect(broken(fact.expected, Result.getOrThrow(rendered(text, fact)))).toEqual([])
  )

  it("has the facts that the model finds in its values", () =>
    expect(acceptedCases.map(({ fact, text }) => factsOf(parse(text) as Tree, fact))).toEqual(
      acceptedCases.map(({ fact }) => fact.expected)
    ))

  it.each(refusedCases)("$folder is refused, and the key is named", ({ fact, text }) => {
    const said = saidOf(text, fact)
    expect(names(said, fact.keyPath), `${fact.keyPath}: ${said}`).toBe(true)
    for (const word of fact.mentions ?? []) expect(said).toContain(word)
  })

  it("is there for every promise that the chart breaks", () =>
    expect(allBroken.filter((promise) => !acceptedCases.some(({ fact }) => fact.brokenByChart.includes(promise)))).toEqual([]))
})

/** Merges two trees; where both have a value, the first one's stays. */
const together = (first: Tree, second: Tree): Tree =>
  Object.entries(second).reduce<Tree>((all, [key, value]) => {
    const own = all[key]
    return { ...all, [key]: isTree(own) && isTree(value) ? together(own, value) : Object.hasOwn(all, key) ? own : value }
  }, first)

/** Keys that the chart does not have, and that change what the chart promises, as their descriptions say. */
const elsewhere = /^(agent\.auth\.token|global\.annotations|persistence\.hostPath\..*|task\.namespace|task\.networkPolicy\..*)$/u
const newer = effects.filter(([key]) => ourKeys.some(([ours]) => ours === key) && !elsewhere.test(key))

describe("a generated case", () => {
  it("may give any key of the chart", () => expect([...keys].sort()).toEqual(chartKeys.map(([key]) => key).sort()))

  it.prop("holds, whatever is given beside it that the chart does not know", [Seed], ([seed]) => {
    const made = choices(seed)
    const [file, release] = [generatedFile(made), generatedRelease(made)]
    const [key, value, , beside = {}] = newer[made.below(newer.length)] ?? ["controller.replicas", 2, ""]
    const text = stringify(made.oneIn(2) ? file : together(together(file, beside), treeOf(key, value)))
    const failed = Result.match(rendered(text, release), {
      onFailure: (said) => [said],
      onSuccess: (objects) => broken(factsOf(file, release), objects)
    })
    expect(failed, text).toEqual([])
  }, { arbitrary: { runs: 300 } })

  it.prop("with a mistake in it is refused, and the key is named", [Seed], ([seed]) => {
    const made = choices(seed)
    const { file, keyPath, mentions = [] } = refusable(made, made.below(countOfMistakes))
    const said = saidOf(stringify(file), generatedRelease(made))
    expect(names(said, keyPath), `${keyPath}: ${said}`).toBe(true)
    for (const word of mentions) expect(said).toContain(word)
  }, { arbitrary: { runs: 300 } })
})

describe("the comparison", () => {
  const release = { name: "blue", namespace: "runs" }

  it.each(keys)("sees that %s was ignored", (key) => {
    const given = generatedGiven(choices(1), [key], Infinity)
    const ignored = Object.fromEntries(Object.entries(given).filter(([other]) => other !== key))
    expect(broken(factsOf(fileOf(given), release), Result.getOrThrow(rendered(stringify(fileOf(ignored)), release)))).not.toEqual([])
  })

  const kinds = mutations.map(({ breaks }) => breaks).sort((a, b) => b.length - a.length) // the longest prefix first
  const kind = (fact: string): string => kinds.find((breaks) => fact.startsWith(breaks)) ?? fact

  it.each(mutations)("sees it by $breaks when $what", ({ breaks, change, given = {} }) => {
    const file = fileOf({ "agent.token": "secret-7f3a", ...given })
    const objects = Result.getOrThrow(rendered(stringify(file), release))
    expect(broken(factsOf(file, release), objects)).toEqual([])
    expect(broken(factsOf(file, release), change(objects)).map(({ fact }) => kind(fact))).toContain(breaks)
  })

  it("has no fact that none of these breaks", () => {
    const facts = acceptedCases.flatMap(({ fact, text }) =>
      compare(fact.expected, Result.getOrThrow(rendered(text, fact))).map(({ fact }) => kind(fact))
    )
    expect([...new Set(facts)].filter((fact) => !kinds.includes(fact))).toEqual([])
  })
})
