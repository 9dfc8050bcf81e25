// Which agent-job this is: the version of package.json; a bundle has it built in.
// Used by the command line, by the metrics of controller and server, and by messages that tell who is too old.
import manifest from "../../package.json" with { type: "json" }

export const programVersion = manifest.version
