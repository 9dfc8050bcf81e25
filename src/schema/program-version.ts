// Which agent-job this is: the version of package.json; a bundle has it built in.
// Used by the command line, by the metrics of controller and server, and by messages that tell who is too old.
import manifest from "../../package.json" with { type: "json" }

export const programVersion = manifest.version

/** The metric by which controller and server say their version, in the label `version`; its value is 1. */
export const buildInfo = { name: "agent_job_build_info", description: "1 for the version of the program." } as const
