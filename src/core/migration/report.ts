// A move as a page to read and to follow: what changes, what goes, the steps of the hand-over, and the way back.
// Invariant: it contains no secret, so that it may be kept in Git beside the overlay.
// Used by cli/values/migrate-release.ts.
import { changes, leaving } from "./changes.ts"
import { handOver } from "./hand-over.ts"
import type { Move } from "./move.ts"
import type { Step } from "./step.ts"
import { endOfWayBack, meanwhile, wayBack } from "./way-back.ts"

const bullets = (lines: ReadonlyArray<string>): ReadonlyArray<string> => lines.map((line) => `- ${line}`)
const code = (commands: ReadonlyArray<string>): ReadonlyArray<string> =>
  commands.flatMap((command) => command.split("\n")).map((line) => `    ${line}`)
const section = (
  heading: string,
  { commands, title, why }: Step
): ReadonlyArray<string> => ["", `${heading} ${title}`, "", why, ...(commands.length === 0 ? [] : ["", ...code(commands)])]

/** Returns the page in Markdown. `folder` is where the overlay is. */
export const report = (move: Move, folder: string): string => {
  const { chartVersion, name, namespace, revision } = move.release
  return [
    `# From the Helm release ${name}`,
    "",
    `Revision ${revision} of ${namespace}/${name}, chart agent-job ${chartVersion}, moves to the overlay in this folder.`,
    "",
    "## What changes",
    "",
    ...bullets(changes(move)),
    "",
    "## What goes with the release",
    "",
    ...bullets(leaving(move)),
    "",
    "## Handing over",
    "",
    `A step that failed can be repeated. ${
      move.formerServer === undefined
        ? "No queued run is lost: runs wait in the pool until a controller asks for them."
        : `Runs that are queued at ${move.formerServer} are not taken along: they run before the old controller stops.`
    }`,
    ...handOver(move, folder).flatMap((step, index) => section(`### ${index + 1}.`, step)),
    "",
    "## The way back",
    "",
    `At any step these bring the release back as it was. ${meanwhile(move)}`,
    ...[...wayBack(move), endOfWayBack(move)].flatMap((step) => section("###", step)),
    ""
  ].join("\n")
}
