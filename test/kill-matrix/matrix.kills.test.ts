// The kill matrix on the real node: each part is killed at each moment of a run, one cell after the other.
// Run with `make kill-matrix`, or with CELLS="text,text" for some cells. Prints a table, and writes the figures for the scorecard.
import { writeFileSync } from "node:fs"
import { afterAll, assert, beforeAll, beforeEach, describe } from "vitest"
import { it } from "../end-to-end/product.ts"
import { untilFinal } from "../end-to-end/server.ts"
import { writeReport } from "../scorecard/report.ts"
import {
  away,
  type Cell,
  cells,
  decided,
  expectedOf,
  impossibleCells,
  inTurn,
  isChosen,
  mayMeet,
  type Met,
  moments,
  secondsAway,
  targets,
  waitsForBlow
} from "./cells.ts"
import { reach, taskAt } from "./moments.ts"
import { type Aftermath, aftermath } from "./outcome.ts"
import { untilReady } from "./ready.ts"
import { aim } from "./targets.ts"
import { listen, type Listener, workload } from "./workload.ts"

const nameOf = ({ moment, target }: Pick<Cell, "moment" | "target">) => `${target} × ${moment}`
const chosen = inTurn.filter((cell) => isChosen(nameOf(cell), process.env.CELLS))

/** The cells that have begun. One without a result has failed. */
const begun = new Set<string>()
const results = new Map<string, Aftermath & { readonly met: Met; readonly seconds: number; readonly expected: boolean }>()
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
    if (result !== undefined) {
      return `${result.outcome}${result.expected ? "" : " (!)"} ${result.seconds.toFixed(0)} s${result.met === "budget" ? ", refused" : ""}`
    }
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
- Each blow hit its target; one that finds nothing fails its cell. Each of these is away for ${secondsAway} s: ${
      away.join(", ")
    }. That makes no node NotReady: test/kill-matrix/outages.kills.test.ts, which the same command runs, keeps the kubelet away from an apply until its node is, and the network of its Pod for over a minute.
- The cells run moment by moment, so that minutes lie between two outages of one part. The watchers of Kubernetes itself (controller manager, scheduler, kubelet) wait twice as long after each failure, up to a minute, and forget their failures after two quiet minutes. So where a Pod is still to start, they need about 10 s more once the API server is back, and longer where one outage follows another.
- A Pod is evicted by the Eviction API. refused: the budget of an apply refused it (429), as it has to until the apply has ended. An eviction by the kubelet asks nobody: test/end-to-end/start-up.alone.test.ts shows it for an apply that fills its volume. Pressure of a whole node is in no test.

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
      const goOn = waitsForBlow(cell) ? listener.hold(scene.name, "four") : () => {}
      const { id } = await scene.startRun(files, "--auto-approve", "--no-color")
      const [hit] = await Promise.all([aim(cell.target, taskAt(cell.moment, id)), reach(cell, id, listener, scene.name)])
      const at = performance.now()
      const met = await hit() ?? "target"
      goOn()
      const run = await untilFinal(id, 240)
      const seconds = (performance.now() - at) / 1000
      const after = await aftermath(run, scene, files, listener)
      const expected = expectedOf(cell, { ...after.seen, met })
      const { outcome } = after
      const asExpected = outcome === expected && mayMeet(cell).includes(met)
      results.set(nameOf(cell), { ...after, met, seconds, expected: asExpected })
      process.stdout.write(
        `${String(results.size).padStart(3)}/${chosen.length}  ${nameOf(cell)}: ${outcome}${
          asExpected ? "" : " (!)"
        }, met the ${met}, after ${seconds.toFixed(0)} s ${run.failure ?? ""}\n`
      )
      assert.deepStrictEqual({ doubled: after.doubled, lost: after.lost, troubles: after.troubles }, {
        doubled: [],
        lost: [],
        troubles: []
      }, run.failure)
      assert.strictEqual(outcome, expected, `${run.status}: ${run.failure ?? ""}`)
      assert.include(mayMeet(cell), met)
    })
  }
})
