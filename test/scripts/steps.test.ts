// What a step shows of its progress while it runs.
import { expect, it } from "vitest"
import { checkout } from "./checkout.ts"

it.each([
  {
    COLUMNS: "80",
    reported: "[3/10] build runc ...",
    shown: "  ..  cluster: programs                        12 s  3/10 [###.......] build ru"
  },
  { COLUMNS: "40", reported: "[3/10] build runc ...", shown: "  ..  cluster: programs 12 s  3/10 [###" },
  { COLUMNS: "40", reported: "go: downloading", shown: "  ..  cluster: programs 12 s  " },
  { COLUMNS: "20", reported: "[3/10] build runc ...", shown: "  ..  cluster: prog" }
])("fits into one line of $COLUMNS columns, its count before its bar: $reported", ({ COLUMNS, reported, shown }) => {
  const { run, write } = checkout("scripts", "test/cluster/env.bash")
  write("log", `${reported}\n`)
  const { said, status } = run(
    `source scripts/place.bash && source scripts/steps.bash && line_of "cluster: programs" "12 s" "$(progress log)"`,
    { COLUMNS }
  )
  expect(status, said).toBe(0)
  expect(said).toBe(shown)
  expect(said.length).toBeLessThan(Number(COLUMNS))
})
