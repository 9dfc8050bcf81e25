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

describe("the catalogue of faults", () => {
  it("has a row for each number from F1 to F24", () =>
    expect(Object.keys(faults)).toEqual(Array.from({ length: 24 }, (_, at) => `F${at + 1}`)))
  it("has a row for every number that a title begins with", () =>
    expect(numbered.filter(({ number }) => rows.every(([known]) => known !== number))).toEqual([]))
  it.each(rows)("%s is shown by tests that are there", (number, row) => {
    expect(named(row).filter(({ file, title }) => !isTitle(file, title))).toEqual([])
    expect(named(row).length + numbered.filter((_) => _.number === number).length).toBeGreaterThan(0)
  })
})
