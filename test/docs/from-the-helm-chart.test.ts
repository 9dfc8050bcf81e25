// The page for people who move from the Helm chart names only keys that exist, and calls no key missing that is there.
import { describe, expect, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { valueKeys } from "../../src/schema/values/values-document.ts"

const page = readFileSync("docs/from-the-helm-chart.md", "utf8")
const keys = valueKeys().map(({ key }) => key)
const exists = (name: string): boolean => keys.some((key) => key === name || key.startsWith(`${name.replace(/\.\*$/u, "")}.`))

/** Returns the keys that a cell names; `.c` after `a.b` stands for a.c. */
const named = (cell: string): ReadonlyArray<string> =>
  [...cell.matchAll(/`([^`]+)`/gu)].reduce<ReadonlyArray<string>>(
    (all, [, name = ""]) => [...all, name.startsWith(".") ? `${all[0]?.replace(/\.[^.]+$/u, "")}${name}` : name],
    []
  )

const section = (title: string): string => page.split(/^## /mu).find((_) => _.startsWith(title)) ?? ""
const tables = ["The keys of 0.5.59", "The keys of 0.6"].map((title) =>
  section(title).split("\n").filter((line) => line.startsWith("|") && !/^\| (?:-|Key of)/u.test(line)).map((line) =>
    line.split("|").slice(1, 3).map((_) => _.trim())
  )
)

describe("the page for those who come from the Helm chart", () => {
  it("has rows in both tables of keys", () => expect(Math.min(...tables.map(({ length }) => length))).toBeGreaterThanOrEqual(3))

  it.each(tables.flat())("is right about %s: %s", (theirs = "", ours = "") => {
    if (theirs === "every key of its README") return
    const here = ours === "the same" ? named(theirs) : named(ours)
    expect(here.filter((name) => !exists(name))).toEqual([])
    if (ours === "–") expect(named(theirs).filter(exists)).toEqual([])
    else expect(here).not.toEqual([])
  })

  it("names other keys only where they exist", () => {
    const others = named(section("What is different")).concat(
      named(page.slice(page.indexOf("Beyond the chart"), page.indexOf("## What the chart")))
    ).filter((_) => /^(?:agent|controller|task|global|persistence)\.\w/u.test(_))
    expect(others.length).toBeGreaterThan(3)
    expect(others.filter((name) => !exists(name))).toEqual([])
  })
})
