// What Prometheus asks of the names of metrics, and that the table is of the metrics that the programs set.
import { expect, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { metrics } from "../../../src/schema/api/metrics.ts"

const rows = Object.entries(metrics).map(([name, metric]) => ({ name, ...metric }))

it.each(rows)("$name is named as its type and its unit ask", ({ name, type }) => {
  expect(name).toMatch(/^agent_job(?:_[a-z]+)+$/u)
  expect(name.endsWith("_total")).toBe(type === "counter")
  expect(name).not.toMatch(
    /_(?:bucket|count|sum|created|milliseconds|minutes|hours|days|kilobytes|megabytes|gauge|counter|histogram)(?:_|$)/u
  )
  if (/_seconds|_bytes|_timestamp/u.test(name)) expect(name).toMatch(/(?:_timestamp)?_seconds$|_bytes$/u)
})

it.each(rows)("$name has a sentence, which says so where its value is a time", ({ description, name }) => {
  expect(description).toMatch(/^[A-Z1][^\n]*\.$/u)
  expect(/in Unix time\./u.test(description)).toBe(name.endsWith("_timestamp_seconds"))
})

it("has each metric that a program sets, and no other", () => {
  const programs = globSync("src/{controller,kubernetes,server}/**/*.ts").map((file) => readFileSync(file, "utf8")).join("\n")
  expect([...new Set(programs.match(/\bagent_job_\w+/gu))].sort()).toEqual(Object.keys(metrics).sort())
})
