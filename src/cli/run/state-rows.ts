// The state of a workspace as lines: what is stored, who has the lock, what was refused, and what waits to be settled.
// Pure: the time is an argument.
// Used by cli/run/state-commands.
import { importable } from "../../core/state/import-blocks.ts"
import { namesAny } from "../../core/state/left-over-message.ts"
import { shortName } from "../../core/text/sentence.ts"
import type { ImportStarted, RescueView, StateView } from "../../schema/api/state.ts"
import { seenIn } from "../flags/seen.ts"
import { age, size } from "../terminal/amounts.ts"
import { table } from "../terminal/table.ts"
import { leftOver } from "./left-over.ts"

const stored = ({ version }: StateView, now: number): string =>
  version === undefined
    ? "State: none yet"
    : `State: serial ${version.serial}, ${size(version.sizeBytes)}, ${age(version.createdAt, now)} old${
      version.runId === undefined ? "" : `, of ${version.runId}`
    }   lineage ${shortName(version.lineage)}   ${version.id}`

const locked = ({ lock }: StateView): string => {
  if (lock === undefined) return "Lock: free"
  const holder = lock.stage === undefined ? "a person" : `${lock.stage}${lock.agent === undefined ? "" : ` of agent ${lock.agent}`}`
  return `Lock: ${shortName(lock.id)}, held by ${holder}${lock.who === undefined ? "" : ` (${shortName(lock.who)})`}${
    lock.created === undefined ? "" : ` since ${shortName(lock.created)}`
  }`
}

const refused = ({ evidence }: StateView, now: number): ReadonlyArray<string> =>
  evidence.length === 0 ? [] : [
    "",
    ...table(
      ["EVIDENCE", "SERIAL", "SIZE", "AGE", "OF", "LINEAGE"],
      evidence.map((
        { id, lineage, receivedAt, serial, sizeBytes, stage }
      ) => [id, String(serial), size(sizeBytes), age(receivedAt, now), stage, shortName(lineage)])
    )
  ]

const settlement = ({ how, message, settledAt, settledBy }: RescueView): string =>
  `Settled: ${message}; ${how} (${settledBy}, ${settledAt})`

export const stateLines = (state: StateView, now: number): ReadonlyArray<string> => [
  `workspace ${state.workspace}   epoch ${state.epoch}`,
  stored(state, now),
  locked(state),
  ...state.forcedUnlocks.map(({ forcedAt, forcedBy, holder, lockId }) =>
    `Unlocked by force: ${shortName(lockId)} of ${holder} (${forcedBy}, ${forcedAt})`
  ),
  ...state.settled.map(settlement),
  ...state.pending.map(({ message, openedAt }) => `In doubt: ${message} (${age(openedAt, now)} ago)`),
  ...refused(state, now)
]

/** Returns lines about a run that imports, and the commands to follow and to decide it. */
export const importLines = ({ addresses, runId }: ImportStarted): ReadonlyArray<string> => [
  `${runId} plans the import of:`,
  ...addresses.map((address) => `  ${address}`),
  "",
  `  agent-job logs -f ${runId}   its plan: it should import and change nothing`,
  `  agent-job approve ${runId}   puts them into the state, which settles what waits if nothing else is left`,
  `  agent-job discard ${runId}   changes nothing`
]

/**
 * Returns the refused state with the highest serial among those with the stored state's lineage that are of a stage in doubt. After any
 * other stage, newer states may have been stored.
 */
const offered = ({ evidence, pending, version }: StateView) =>
  evidence.filter(({ lineage, stage }) =>
    (version === undefined || version.lineage === lineage) && pending.some((rescue) => rescue.stage === stage)
  ).toSorted((one, other) => other.serial - one.serial)[0]

/**
 * Returns what the stored state is, if it may be newer than the refused one: a run that went on beside the doubt, a person or an import may
 * have stored it. Undefined if it is older. Times cannot tell, because clocks may be put back.
 */
const newerThan = ({ serial, storedVersion }: StateView["evidence"][number], { version }: StateView) =>
  version !== undefined && (version.serial >= serial || version.id !== storedVersion)
    ? `serial ${version.serial}${version.runId === undefined ? "" : `, of ${version.runId}`}`
    : undefined

/** Returns lines about what is pending, and the commands that settle it. One that would undo something comes last. */
export const rescueLines = (state: StateView, now: number): ReadonlyArray<string> => {
  const rescue = `agent-job state rescue ${state.workspace}`
  if (state.pending.length === 0) return [`Nothing of ${state.workspace} waits to be settled.`]
  const use = offered(state)
  const newer = use === undefined ? undefined : newerThan(use, state)
  const seen = `--seen ${seenIn(state)}`
  const effect = newer === undefined
    ? "a refused state becomes the next version"
    : `puts a refused state over the stored one, which may be newer (${newer}), and undoes what only that has`
  const useIt = use === undefined
    ? []
    : [
      `  ${rescue} --use ${use.id} ${seen}   ${effect}; to look into it first: agent-job state show ${state.workspace} --evidence ${use.id}`
    ]
  const left = state.pending.flatMap(({ effects }) => effects === undefined ? [] : [effects])
  const imports = left.some(({ unread, unsaved }) => unread !== true && importable(unsaved).length > 0) // what the server refuses is not offered
  return [
    ...stateLines(state, now),
    ...left.flatMap((effects) => ["", ...leftOver(effects)]),
    "",
    "No stage of the workspace starts before this is settled:",
    ...(newer === undefined ? useIt : []),
    ...(imports
      ? [`  ${rescue} --import   plans a run that imports what was made and is not in the state, which you then approve`]
      : []),
    ...(left.some(namesAny)
      ? [`  ${rescue} --import-blocks FILE   writes the import blocks${imports ? " instead" : ", and what else to do"}`]
      : []),
    `  ${rescue} --keep ${seen}   the stored state stays as it is; what is missing in it, import or remove by hand`,
    ...(newer === undefined ? [] : useIt)
  ]
}
