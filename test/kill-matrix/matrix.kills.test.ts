// The kill matrix on the real node: each part is killed at each moment of a run, one cell after the other.
// Run with `make kill-matrix`, or with CELLS="text,text" for some cells. Prints a table, and writes the figures for the scorecard.
import { writeFileSync } from "node:fs"
import { afterAll, assert, beforeAll, beforeEach, describe } from "vitest"
import { kubectl, productNamespace } from "../end-to-end/cluster.ts"
import { it } from "../end-to-end/product.ts"
import { untilFinal, untilServed } from "../end-to-end/server.ts"
import { writeReport } from "../scorecard/report.ts"
import { type Cell, cells, decided, expectedOf, impossibleCells, moments, targets } from "./cells.ts"
import { reach, taskAt } from "./moments.ts"
import { type Aftermath, aftermath } from "./outcome.ts"
import { aim } from "./targets.ts"
import { listen, type Listener, workload } from "./workload.ts"

const wanted = (process.env.CELLS ?? "").split(",")
const nameOf = ({ moment, target }: Pick<Cell, "moment" | "target">) => `${target} × ${moment}`
const chosen = cells.filter((cell) => wanted.some((text) => nameOf(cell).includes(text)))

const inProduct = (...args: ReadonlyArray<string>) => kubectl(["--namespace", productNamespace, ...args])

/** Waits until the product is ready. It deletes Pods whose container has restarted, because backoff delays each further restart. */
const untilReady = async () => {
  const pods = await inProduct(
    "get",
    "pods",
    "--output=jsonpath={range .items[*]}{.metadata.name} {.status.containerStatuses[0].restartCount}{\"\\n\"}{end}"
  )
  const restarted = pods.split("\n").flatMap((line) => /^(\S+) [1-9]/u.exec(line)?.[1] ?? [])
  if (restarted.length > 0) await inProduct("delete", "pod", ...restarted, "--grace-period=5")
  for (const part of ["deployment/agent-job-controller", "statefulset/agent-job-server"]) {
    await inProduct("rollout", "status", part, "--timeout=120s")
  }
  await untilServed() // a server that was just killed counts as ready until the kubelet probes it
}

/** The cells that have begun. One without a result has failed. */
const begun = new Set<string>()
const results = new Map<string, Aftermath & { readonly seconds: number; readonly expected: boolean }>()
let listener: Listener
beforeAll(async () => {
  listener = await listen()
})
beforeEach(untilReady)

const quantile = (sorted: ReadonlyArray<number>, q: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0

const table = (): string => {
  const cell = (target: Cell["target"], moment: Cell["moment"]): string => {
    const name = nameOf({ target, moment })
    const result = results.get(name)
    if (result !== undefined) return `${result.outcome}${result.expected ? "" : " (!)"} ${result.seconds.toFixed(0)} s`
    if (begun.has(name)) return "**failed**"
    return impossibleCells.some((_) => nameOf(_) === name) ? "–" : "not run"
  }
  return [
    ["", ...moments],
    ["---", ...moments.map(() => "---")],
    ...targets.map((target) => [target, ...moments.map((moment) => cell(target, moment))])
  ].map((row) => `| ${row.join(" | ")} |`).join("\n")
}

afterAll(async () => {
  await listener[Symbol.asyncDispose]()
  console.log(table())
  const all = [...results.values()]
  const seconds = all.map((_) => _.seconds).sort((a, b) => a - b)
  if (all.length < cells.length / 3) return // only some cells were chosen, so this is no full run
  writeReport("kill-matrix", {
    command: "make kill-matrix",
    figures: {
      cells: all.length,
      impossible: impossibleCells.length,
      unexpected: all.filter(({ expected, troubles }) => !expected || troubles.length > 0).length + begun.size - all.length,
      lostStates: all.filter(({ lost }) => lost.length > 0).length,
      doubled: all.filter(({ doubled }) => doubled.length > 0).length,
      recoveryP50Seconds: quantile(seconds, 0.5),
      recoveryP99Seconds: quantile(seconds, 0.99)
    }
  })
  writeFileSync(
    "docs/kill-matrix.md",
    `# Kill matrix

Each part killed at each moment of a run, on the real node. Written by \`make kill-matrix\`; what has to come of a cell, and why some cannot be, is in test/kill-matrix/cells.ts.

- applied: as if nothing had happened; a plan was made again at most. in order: it did not come to its end, and the state has all that was made.
- named: it ended abruptly, and the result says so and names what the state lacks. –: there is no such moment for it.
- The seconds are from the kill to the end of the run. In each cell nothing was made twice, and the plan that followed had what was missing and nothing else.
- A Pod is evicted by the Eviction API, which the budget of an apply refuses. An eviction by the kubelet asks nobody: test/end-to-end/start-up.alone.test.ts shows it for an apply that fills its volume. Pressure of a whole node is in no test.

Each cell has one right outcome. In these, timing decides it, by what the test sees:

${[...Map.groupBy(decided, ({ by }) => by)].map(([by, all]) => `- ${all.map(nameOf).join(", ")}: ${by}.`).join("\n")}

${table()}
`
  )
})

describe("killed", () => {
  for (const cell of chosen) {
    it(nameOf(cell), { timeout: 400_000 }, async ({ scene }) => {
      begun.add(nameOf(cell))
      const files = workload(listener, scene.name)
      const { id } = await scene.startRun(files, "--auto-approve", "--no-color")
      const [hit] = await Promise.all([aim(cell.target, taskAt(cell.moment, id)), reach(cell.moment, id, listener, scene.name)])
      const at = performance.now()
      const met = await hit()
      const run = await untilFinal(id, 240)
      const seconds = (performance.now() - at) / 1000
      const after = await aftermath(run, scene, files, listener)
      const expected = expectedOf(cell, { ...after.seen, midCommand: met === "command" })
      const { outcome } = after
      results.set(nameOf(cell), { ...after, seconds, expected: outcome === expected })
      process.stdout.write(
        `${String(results.size).padStart(3)}/${chosen.length}  ${nameOf(cell)}: ${outcome}${outcome === expected ? "" : " (!)"} after ${
          seconds.toFixed(0)
        } s ${run.failure ?? ""}\n`
      )
      assert.deepStrictEqual({ doubled: after.doubled, lost: after.lost, troubles: after.troubles }, {
        doubled: [],
        lost: [],
        troubles: []
      }, run.failure)
      assert.strictEqual(outcome, expected, `${run.status}: ${run.failure ?? ""}`)
    })
  }
})
