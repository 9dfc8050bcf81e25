// Tells in sentences what a run comes to: from its numbers and reasons, never from the engine's text.
// Pure.
// Used by run, get and the commands that act on a run.
import { inWords, type Step } from "../../core/run/run-machine.ts"
import { rescueAdvice } from "../../core/run/state-doubt.ts"
import { waitsForPerson } from "../../core/state/unused-backend.ts"
import { inLine } from "../../core/text/in-line.ts"
import { sentence } from "../../core/text/sentence.ts"
import { shellWord } from "../../core/text/shell-word.ts"
import { isRunStatus, type RunView, type StageView } from "../../schema/api/run.ts"
import { reasons } from "../../schema/task/reason.ts"
import type { Changes } from "../../schema/task/stage-result.ts"
import { Cancelled, Failed } from "../terminal/failure.ts"
import { columns } from "../terminal/table.ts"
import { leftOver } from "./left-over.ts"

/** How many characters of a seal are shown. */
const shortSealLength = 12

/** Returns the newest attempt of a step. A destroy stage belongs to the apply step. */
export const stageOf = ({ stages }: RunView, step: Step): StageView | undefined =>
  stages.findLast(({ stage }) => (stage === "plan") === (step === "plan"))

const underWay: Readonly<Record<Step, ReadonlyArray<string>>> = { plan: ["pending", "planning"], apply: ["confirmed", "applying"] }

/** Reports whether a step is over. In a status that only a newer server knows, no step is before the end of the run. */
export const stepIsOver = ({ final, status }: RunView, step: Step): boolean =>
  final || (isRunStatus(status) && !underWay[step].includes(status))

const wasApproved = ({ timestamps }: RunView): boolean => timestamps["confirmed"] !== undefined

/** Reports whether a run whose plan is over has come to its apply. A status that only a newer server knows counts as part of the apply. */
export const hasApply = (run: RunView): boolean => run.final ? wasApproved(run) : run.status !== "planned"

/** "+1 ~2 -0", for a column. */
export const shortChanges = (changes: Changes | undefined): string =>
  changes === undefined ? "" : `+${changes.add} ~${changes.change} -${changes.destroy}`

type Words = Readonly<Record<keyof Changes, string>>
const toBeDone: Words = { import: "to import", add: "to add", change: "to change", destroy: "to destroy", forget: "to forget" }
const done: Words = { import: "imported", add: "added", change: "changed", destroy: "destroyed", forget: "forgotten" }

/** Returns the numbers in the engine's order and words. Like the engine, it tells of imports and of what is forgotten only where there are some. */
const inNumbers = ({ add, change, destroy, forget = 0, import: imports = 0 }: Changes, words: Words): string =>
  [
    ...(imports === 0 ? [] : [`${imports} ${words.import}`]),
    `${add} ${words.add}, ${change} ${words.change}, ${destroy} ${words.destroy}`,
    ...(forget === 0 ? [] : [`${forget} ${words.forget}`])
  ].join(", ")

/** "1 to add, 2 to change, 0 to destroy", and what is imported or forgotten. */
export const plannedNumbers = (changes: Changes): string => inNumbers(changes, toBeDone)

const nothing = (changes: Changes) => Object.values(changes).every((count) => count === 0)

export const planSummary = ({ changes, hasChanges, workspace }: RunView): string => {
  if (hasChanges === false) return `The plan changes nothing in ${workspace}.`
  if (changes === undefined) return "Planned."
  return nothing(changes)
    ? "Plan: nothing to add, change or destroy, but the state or the outputs change."
    : `Plan: ${plannedNumbers(changes)}.`
}

/** What the plan was to import and forget was done, since the run is applied; only the plan counts it. */
export const applySummary = (run: RunView): string => {
  const applied = stageOf(run, "apply")?.result?.changes
  const changes = applied === undefined ? run.changes : { ...run.changes, ...applied }
  return changes === undefined ? "Applied." : `Applied: ${inNumbers(changes, done)}.`
}

const unpointed = (text: string) => text.replace(/(?<![.\s])[.\s]+$/u, "")

const adviceFor = (reason: string | undefined): string | undefined => Object.entries(reasons).find(([name]) => name === reason)?.[1]

/** Returns what a person is to do about a state that the run left in doubt, below what is said of its end. */
export const doubt = ({ inDoubt, workspace }: RunView): ReadonlyArray<string> =>
  inDoubt === true ? [`The state is in doubt; ${rescueAdvice(workspace)}`] : []

/** Returns why a run failed: what the worker or controller says, what its reason means, and what the stage left behind. */
const failure = (run: RunView): string => {
  const step = wasApproved(run) ? "apply" : "plan"
  const last = stageOf(run, step)
  const stage = last?.result?.outcome === "succeeded" ? undefined : last // the run says what is wrong with a good plan
  const reason = stage?.result?.reason ?? stage?.reason
  const said = stage?.result?.message ?? stage?.message ?? run.failure
  const advice = adviceFor(reason)
  return [
    said === undefined ? `The ${step} of ${run.id} failed.` : `The ${step} of ${run.id} failed: ${sentence(inLine(said))}`,
    ...(advice === undefined || said === advice ? [] : [`${reason}: ${advice}`]),
    ...(stage?.effects === undefined ? [] : leftOver(stage.effects))
  ].join("\n")
}

/**
 * Returns the error of a command that stayed until the run failed, or was cancelled or discarded, or ended as only a newer server knows;
 * undefined if it did not.
 */
export const badEnd = (run: RunView): Failed | Cancelled | undefined => {
  switch (run.status) {
    case "errored":
      return new Failed({ message: [failure(run), ...doubt(run)].join("\n") })
    case "canceled":
      return new Cancelled({ message: [`${run.id} was cancelled.`, ...doubt(run)].join("\n") })
    case "discarded":
      return new Cancelled({ message: `${run.id} was discarded; nothing was changed.` })
    default:
      return isRunStatus(run.status) || !run.final ? undefined : new Failed({
        message: `${run.id} ended as ${inWords(run.status)}, which this version of agent-job does not know; see agent-job get ${run.id}.`
      })
  }
}

/** Returns why a step has not begun, or stands still, such as its place in the queue or what its Pod waits for, or else that it runs. */
export const waiting = (run: RunView, step: Step): string => {
  const stage = stageOf(run, step)
  const queued = run.queue === undefined
    ? undefined
    : `${unpointed(run.queue.message)}${run.queue.position > 1 ? ` (number ${run.queue.position} in line)` : ""}`
  if (run.cancelAsked) return queued === undefined ? "Stopping" : `Stopping: ${queued}`
  if (queued !== undefined) return queued
  if (stage?.message !== undefined && stage.status !== "running") return unpointed(stage.message)
  switch (stage?.status) {
    case "running":
      return step === "plan" ? "Planning" : "Applying"
    case "offered":
      return `A controller has taken the ${step}; its Pod is starting`
    default:
      return `Waiting for a controller to take the ${step}`
  }
}

const value = (output: unknown): string => {
  const short = JSON.stringify(output)
  return short !== undefined && short.length <= 80 ? short : JSON.stringify(output, null, 2) ?? "null"
}

/** Returns lines of "name = value"; sensitive values stay hidden. */
export const outputLines = (
  outputs: ReadonlyArray<{ readonly name: string; readonly sensitive: boolean; readonly value: unknown }>
): ReadonlyArray<string> => {
  const names = columns(outputs.map(({ name }) => [`  ${name}`, "="]), " ")
  return outputs.flatMap((output, index) =>
    `${names[index]} ${output.sensitive ? "(sensitive)" : value(output.value).replaceAll("\n", "\n  ")}`.split("\n")
  )
}

/** Returns enough of the run's seal to tell plans apart, between `before` and `after`; empty if it has no seal. */
const shortSeal = ({ planSha256 }: RunView, before: string, after = ""): string =>
  planSha256 === undefined ? "" : `${before}${planSha256.slice(0, shortSealLength)}${after}`

export const question = (run: RunView): string => {
  const which = `${run.workspace}${shortSeal(run, " (seal ", ")")}`
  if (run.hasChanges === false) return `Apply this plan, which changes nothing, to ${which}? Only "yes" applies it.`
  return run.destroy && (run.changes?.forget ?? 0) === 0
    ? `Destroy all of this in ${which}? Only "yes" destroys it.`
    : `Apply these changes to ${which}? Only "yes" applies them.`
}

/**
 * Returns why the plan that a person saw cannot be approved; undefined if it can, or was. `seen`: the beginning of its seal, if one was
 * named; whoever names that of an applied plan asks again, since an answer may have been lost. Without it a run that is applied is refused
 * here, because the server would not, and so is one that still plans, because it may have a plan by the time the server is asked.
 */
export const notApproved = (run: RunView, seen: string | undefined): string | undefined => {
  const { cancelAsked, final, id, planSha256, status } = run
  if (status === "applied" && seen !== undefined && planSha256?.startsWith(seen) === true) return undefined
  if (final) return `${id} is ${inWords(status)} already, so there is nothing to approve; see what came of it with: agent-job get ${id}`
  if (wasApproved(run) && cancelAsked) {
    return `${id} was approved already, and is asked to stop; see how it ends with: agent-job get ${id}`
  }
  if (planSha256 === undefined) {
    return `${id} is ${inWords(status)}, so there is no plan to approve yet; look at it once it is there: agent-job logs -f ${id}`
  }
  return seen === undefined || planSha256.startsWith(seen)
    ? undefined
    : `${id} has the plan with the seal ${planSha256}, which does not begin with ${seen}; look at it again: agent-job logs ${id}`
}

/** Says that a run is approved; `run` is as it was before. */
export const approved = (run: RunView): string => {
  const approval = `${run.id} ${wasApproved(run) ? "was approved already" : "is approved"}${shortSeal(run, " with the seal ")}`
  return run.final
    ? `${approval} and is applied; see what came of it with: agent-job get ${run.id}`
    : `${approval} and applies its plan; follow it with: agent-job logs -f ${run.id}`
}

const commands = (rows: ReadonlyArray<readonly [command: string, what: string]>) =>
  columns(rows.map(([command, what]) => [`  ${command}`, what]), "   ")

/** Returns why a run that was to apply by itself waits for a person, in a clause; undefined if it was not to, or does not wait. */
export const whyNotByItself = (run: RunView): string | undefined => {
  const backend = stageOf(run, "plan")?.result?.unusedBackend
  return run.autoApply && run.status === "planned" && backend !== undefined ? waitsForPerson(backend, run.workspace) : undefined
}

/** Returns what to type to decide about a plan. */
export const decisions = (run: RunView): ReadonlyArray<string> =>
  commands([
    [`agent-job approve ${run.id}${shortSeal(run, " --seal ")}`, "apply this very plan"],
    [`agent-job discard ${run.id}`, "change nothing"]
  ])

/** Returns what to type for a run that waits for a decision. */
export const approvalHint = (run: RunView): ReadonlyArray<string> => [
  `${run.id} waits for your decision and keeps its workspace until then:`,
  ...decisions(run)
]

/** Returns up to three things to try after a run that went well. `directory`: as it was typed. */
export const nextSteps = (run: RunView, directory: string): ReadonlyArray<string> => {
  const again = `agent-job run ${shellWord(directory)} --workspace ${run.workspace}`
  const look = [`agent-job get ${run.id}`, "what happened, stage by stage"] as const
  switch (run.status) {
    case "applied":
      return commands(
        run.destroy
          ? [[again, "make it all again"], look]
          : [[again, "run again after a change"], [`${again} --destroy`, "remove it all"], look]
      )
    case "planned_and_finished":
      return commands(run.planOnly && run.hasChanges === true ? [[again, "plan again, and apply"], look] : [look])
    default:
      return []
  }
}
