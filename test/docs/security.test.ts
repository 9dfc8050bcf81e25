// What docs/security.md says of the marks in the audit trail: each that there is, and no other.
import { expect, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { marks } from "../../src/schema/api/audit.ts"

it("says what each mark of the audit trail means", () => {
  const [, table = ""] = /\n\| mark \| meaning \|\n([^]*?)\n\n/u.exec(readFileSync("docs/security.md", "utf8")) ?? []
  const told = table.split("\n").flatMap((row) => [...(row.split(" | ")[0] ?? "").matchAll(/\((.*?)\)/gu)].map(([, mark]) => mark))
  expect(told.sort()).toEqual([...marks, "pool NAME", "broken off"].sort()) // the last is of entries of earlier versions
})
