// The promises as figures: what is counted, which report has it, and which value it has to have. Nothing here is measured.
// Used by main.ts, which shows a figure without a report as not run.
import { cells } from "../kill-matrix/cells.ts"
import { pinnedPairs, pinnedPoints } from "../simulation/pinned-points.ts"

export interface Row {
  readonly name: string
  /** The name of the report in docs/reports, and of the figure in it. */
  readonly report: string
  readonly figure: string
  readonly target: { readonly atLeast: number } | { readonly atMost: number }
  /** The name of the figure's error in the same report, which is told beside it and makes no target easier. */
  readonly error?: string
  /** The command that measures it. */
  readonly command: string
}

const atLeast = (value: number) => ({ atLeast: value })
const none = { atMost: 0 }
const allOf = (pinned: Readonly<Record<string, number>>) => atLeast(Object.values(pinned).reduce((sum, count) => sum + count))

export const rows: ReadonlyArray<Row> = [
  { name: "schedules of the model run", report: "simulation", figure: "schedules", target: atLeast(1_000_000), command: "make soak" },
  { name: "invariants broken in them", report: "simulation", figure: "violations", target: none, command: "make soak" },
  {
    name: "crash points enumerated",
    report: "simulated-crashes",
    figure: "points",
    target: allOf(pinnedPoints),
    command: "make soak SCHEDULES=0"
  },
  {
    name: "crash points that ended otherwise than the clean run",
    report: "simulated-crashes",
    figure: "failed",
    target: none,
    command: "make soak SCHEDULES=0"
  },
  {
    name: "pairs of crashes enumerated",
    report: "simulated-crashes",
    figure: "pairs",
    target: allOf(pinnedPairs),
    command: "make soak SCHEDULES=0"
  },
  {
    name: "pairs of crashes that ended otherwise than the clean run",
    report: "simulated-crashes",
    figure: "pairsFailed",
    target: none,
    command: "make soak SCHEDULES=0"
  },
  {
    name: "states of a small installation to which all orders lead",
    report: "small-scope",
    figure: "states",
    target: atLeast(50_000),
    command: "make soak SCHEDULES=0"
  },
  {
    name: "invariants broken in them",
    report: "small-scope",
    figure: "violations",
    target: none,
    command: "make soak SCHEDULES=0"
  },
  { name: "mutants planted", report: "mutants", figure: "planted", target: atLeast(40), command: "make mutants" },
  { name: "mutants that no test caught", report: "mutants", figure: "survived", target: none, command: "make mutants" },
  {
    name: "cells of the kill matrix run",
    report: "kill-matrix",
    figure: "cells",
    target: atLeast(cells.length),
    command: "make kill-matrix"
  },
  {
    name: "cells that ended otherwise than written down",
    report: "kill-matrix",
    figure: "unexpected",
    target: none,
    command: "make kill-matrix"
  },
  { name: "states lost in the kill matrix", report: "kill-matrix", figure: "lostStates", target: none, command: "make kill-matrix" },
  { name: "effects doubled in the kill matrix", report: "kill-matrix", figure: "doubled", target: none, command: "make kill-matrix" },
  {
    name: "seconds from a kill to the end of the run, p50",
    report: "kill-matrix",
    figure: "recoveryP50Seconds",
    target: { atMost: 5 },
    command: "make kill-matrix"
  },
  {
    name: "seconds from a kill to the end of the run, p99",
    report: "kill-matrix",
    figure: "recoveryP99Seconds",
    target: { atMost: 60 },
    command: "make kill-matrix"
  },
  {
    name: "tasks of the soak, one answer in twenty faulty",
    report: "soak",
    figure: "tasks",
    target: atLeast(5000),
    command: "make faults"
  },
  { name: "tasks lost in it", report: "soak", figure: "lost", target: none, command: "make faults" },
  { name: "stages run twice in it", report: "soak", figure: "doubled", target: none, command: "make faults" },
  { name: "tasks stuck at its end", report: "soak", figure: "stuck", target: none, command: "make faults" },
  {
    name: "slope of the controller's resident memory in it, MiB per 1,000 tasks",
    report: "soak",
    figure: "residentSlope",
    error: "residentSlopeError",
    target: none,
    command: "make faults"
  },
  {
    name: "slope of what lives of it after a collection, without compiled code, MiB per 1,000 tasks",
    report: "soak",
    figure: "liveSlope",
    error: "liveSlopeError",
    target: none,
    command: "make faults"
  },
  {
    name: "how far off that may be, MiB per 1,000 tasks",
    report: "soak",
    figure: "liveSlopeError",
    target: { atMost: 1 },
    command: "make faults"
  },
  {
    name: "writes of the controller it was killed at",
    report: "crash-points",
    figure: "killed",
    target: atLeast(1),
    command: "make faults"
  },
  { name: "of them, ended otherwise than the clean run", report: "crash-points", figure: "failed", target: none, command: "make faults" },
  { name: "fuzz inputs: requests to the server", report: "fuzz", figure: "requests", target: atLeast(50_000), command: "make fuzz" },
  {
    name: "fuzz inputs: archives, protocol, engine output, values, tasks",
    report: "fuzz",
    figure: "decoderInputs",
    target: atLeast(10_000_000),
    command: "make fuzz"
  },
  { name: "crashes and broken promises in them", report: "fuzz", figure: "failures", target: none, command: "make fuzz" },
  {
    name: "tests with Flux, Argo CD, promtool, three linters and Terraform",
    report: "gitops",
    figure: "tests",
    target: atLeast(50),
    command: "make gitops-test"
  },
  {
    name: "of them, failed: as by a finding that is not accepted with its reason",
    report: "gitops",
    figure: "failed",
    target: none,
    command: "make gitops-test"
  }
]
