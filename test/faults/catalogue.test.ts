// Checks that the catalogue of faults stays true: every number has a row, and every test that a row names exists.
import { describe, expect, it } from "@effect/vitest"
import { existsSync, globSync, readFileSync } from "node:fs"
import { faults, mistakes, type Row } from "./catalogue.ts"

const read = (file: string): string => existsSync(file) ? readFileSync(file, "utf8") : ""
const rows = Object.entries({ ...faults, ...mistakes })

/** Reports whether a test of the file has a title that begins so, after its numbers. Other text of the file is no title. */
const isTitle = (file: string, title: string): boolean =>
  new RegExp(`\\(\\s*["\`](?:[FR]\\d+ )*${RegExp.escape(title)}`, "u").test(read(file))

/** The numbers with which titles of tests in this folder begin, each with its file. */
const numbered = globSync("test/faults/*.test.ts").flatMap((file) =>
  [...read(file).matchAll(/\(\s*"((?:[FR]\d+ )+)/gu)].flatMap(([, numbers]) =>
    (numbers ?? "").trim().split(" ").map((number) => ({ file, number }))
  )
)

const named = ({ shownBy = {} }: Row) => Object.entries(shownBy).flatMap(([file, titles]) => titles.map((title) => ({ file, title })))

/** The numbers from 1 to the last, each after the letter. */
const upTo = (letter: string, last: number): ReadonlyArray<string> => Array.from({ length: last }, (_, at) => `${letter}${at + 1}`)

describe("the catalogue of faults", () => {
  it("has a row for each number from F1 to F24, and from R1 to R37", () =>
    expect([Object.keys(faults), Object.keys(mistakes)]).toEqual([upTo("F", 24), upTo("R", 37)]))
  it("has a row for every number that a title begins with", () =>
    expect(numbered.filter(({ number }) => rows.every(([known]) => known !== number))).toEqual([]))
  it.each(rows)("%s is shown by tests that are there", (number, row) => {
    expect(named(row).filter(({ file, title }) => !isTitle(file, title))).toEqual([])
    expect(named(row).length + numbered.filter((_) => _.number === number).length).toBeGreaterThan(0)
  })
})
