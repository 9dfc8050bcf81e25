// Which agent-job this is: the version of package.json; a bundle has it built in.
// Used by cli/agent-job, cli/commands/version, core/task/left-out, core/task/offer and core/task/unknown-option.
import manifest from "../../package.json" with { type: "json" }

export const programVersion = manifest.version
