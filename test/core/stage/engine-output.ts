// What OpenTofu 1.12.6 prints when it fails, with its colours. The output was captured, and only a path in it was edited.
// Used by the tests that say what a failure means.

export const providerNotInMirror = [
  "",
  "\u001b[0m\u001b[1mInitializing the backend...\u001b[0m",
  "",
  "\u001b[0m\u001b[1mInitializing provider plugins...\u001b[0m",
  "- Finding latest version of hashicorp/random...",
  "\u001b[31m╷\u001b[0m\u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m\u001b[1m\u001b[31mError: \u001b[0m\u001b[0m\u001b[1mFailed to query available provider packages\u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m\u001b[0mCould not retrieve the list of available versions for provider",
  "\u001b[31m│\u001b[0m \u001b[0mhashicorp/random: provider registry.opentofu.org/hashicorp/random was not",
  "\u001b[31m│\u001b[0m \u001b[0mfound in any of the search locations",
  "\u001b[31m│\u001b[0m \u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m  - /mirror",
  "\u001b[31m╵\u001b[0m\u001b[0m",
  "",
  ""
].join("\n")

export const providerVersionMissing = [
  "",
  "\u001b[0m\u001b[1mInitializing the backend...\u001b[0m",
  "",
  "\u001b[0m\u001b[1mInitializing provider plugins...\u001b[0m",
  "- Finding hashicorp/time versions matching \"9.9.9\"...",
  "\u001b[31m╷\u001b[0m\u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m\u001b[1m\u001b[31mError: \u001b[0m\u001b[0m\u001b[1mFailed to resolve provider packages\u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m\u001b[0mCould not resolve provider hashicorp/time: no available releases match the",
  "\u001b[31m│\u001b[0m \u001b[0mgiven constraints 9.9.9",
  "\u001b[31m╵\u001b[0m\u001b[0m",
  "",
  ""
].join("\n")

export const lockWithoutChecksum = [
  "",
  "\u001b[0m\u001b[1mInitializing the backend...\u001b[0m",
  "",
  "\u001b[0m\u001b[1mInitializing provider plugins...\u001b[0m",
  "- Reusing previous version of hashicorp/time from the dependency lock file",
  "- Installing hashicorp/time v0.13.1...",
  "\u001b[31m╷\u001b[0m\u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m\u001b[1m\u001b[31mError: \u001b[0m\u001b[0m\u001b[1mFailed to install provider\u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m\u001b[0mError while installing hashicorp/time v0.13.1: the local package for",
  "\u001b[31m│\u001b[0m \u001b[0mregistry.opentofu.org/hashicorp/time 0.13.1 doesn't match any of the",
  "\u001b[31m│\u001b[0m \u001b[0mchecksums previously recorded in the dependency lock file (this might be",
  "\u001b[31m│\u001b[0m \u001b[0mbecause the available checksums are for packages targeting different",
  "\u001b[31m│\u001b[0m \u001b[0mplatforms); for more information:",
  "\u001b[31m│\u001b[0m \u001b[0mhttps://opentofu.org/docs/language/files/dependency-lock/#checksum-verification",
  "\u001b[31m╵\u001b[0m\u001b[0m",
  "",
  ""
].join("\n")

export const lockOfAnotherVersion = [
  "",
  "\u001b[0m\u001b[1mInitializing the backend...\u001b[0m",
  "",
  "\u001b[0m\u001b[1mInitializing provider plugins...\u001b[0m",
  "- Reusing previous version of hashicorp/time from the dependency lock file",
  "\u001b[31m╷\u001b[0m\u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m\u001b[1m\u001b[31mError: \u001b[0m\u001b[0m\u001b[1mFailed to resolve provider packages\u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m\u001b[0mCould not resolve provider hashicorp/time: locked provider",
  "\u001b[31m│\u001b[0m \u001b[0mregistry.opentofu.org/hashicorp/time 0.13.1 does not match configured",
  "\u001b[31m│\u001b[0m \u001b[0mversion constraint >= 0.14.0; must use tofu init -upgrade to allow",
  "\u001b[31m│\u001b[0m \u001b[0mselection of new versions",
  "\u001b[31m╵\u001b[0m\u001b[0m",
  "",
  ""
].join("\n")

export const registryUnreachable = [
  "",
  "\u001b[0m\u001b[1mInitializing the backend...\u001b[0m",
  "",
  "\u001b[0m\u001b[1mInitializing provider plugins...\u001b[0m",
  "- Finding latest version of hashicorp/random...",
  "\u001b[31m╷\u001b[0m\u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m\u001b[1m\u001b[31mError: \u001b[0m\u001b[0m\u001b[1mFailed to resolve provider packages\u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m\u001b[0mCould not resolve provider hashicorp/random: could not connect to",
  "\u001b[31m│\u001b[0m \u001b[0mregistry.opentofu.org: failed to request discovery document: Get",
  "\u001b[31m│\u001b[0m \u001b[0m\"https://registry.opentofu.org/.well-known/terraform.json\": proxyconnect",
  "\u001b[31m│\u001b[0m \u001b[0mtcp: dial tcp 127.0.0.1:1: connect: connection refused",
  "\u001b[31m╵\u001b[0m\u001b[0m",
  "",
  ""
].join("\n")

export const registryBusy = [
  "\u001b[31m╷\u001b[0m\u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m\u001b[1m\u001b[31mError: \u001b[0m\u001b[0m\u001b[1mFailed to resolve provider packages\u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m\u001b[0mCould not resolve provider hashicorp/random: could not connect to",
  "\u001b[31m│\u001b[0m \u001b[0mregistry.opentofu.org: failed to request discovery document: 429 Too Many",
  "\u001b[31m│\u001b[0m \u001b[0mRequests",
  "\u001b[31m╵\u001b[0m\u001b[0m",
  ""
].join("\n")

export const gitHostFailed = [
  "\u001b[31m╷\u001b[0m\u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m\u001b[1m\u001b[31mError: \u001b[0m\u001b[0m\u001b[1mFailed to download module\u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m\u001b[0m  on main.tf line 1:",
  "\u001b[31m│\u001b[0m \u001b[0m   1: module \"x\" \u001b[4m{\u001b[0m\u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0mCould not download module \"x\" (main.tf:1) source code from",
  "\u001b[31m│\u001b[0m \u001b[0m\"git::https://git.example.com/x.git\": error downloading",
  "\u001b[31m│\u001b[0m \u001b[0m'https://git.example.com/x.git': /usr/bin/git exited with 128: Cloning into",
  "\u001b[31m│\u001b[0m \u001b[0m'.terraform/modules/x'...",
  "\u001b[31m│\u001b[0m \u001b[0mfatal: unable to access 'https://git.example.com/x.git/': The requested URL",
  "\u001b[31m│\u001b[0m \u001b[0mreturned error: 503",
  "\u001b[31m╵\u001b[0m\u001b[0m",
  ""
].join("\n")

export const syntaxError = [
  "",
  "\u001b[0mOpenTofu encountered problems during initialization, including problems",
  "with the configuration, described below.",
  "",
  "The OpenTofu configuration must be valid before initialization so that",
  "OpenTofu can determine which modules and providers need to be installed.\u001b[0m",
  "\u001b[31m╷\u001b[0m\u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m\u001b[1m\u001b[31mError: \u001b[0m\u001b[0m\u001b[1mUnclosed configuration block\u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m\u001b[0m  on main.tf line 1, in resource \"time_static\" \"x\":",
  "\u001b[31m│\u001b[0m \u001b[0m   1: resource \"time_static\" \"x\" \u001b[4m{\u001b[0m\u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0mThere is no closing brace for this block before the end of the file. This",
  "\u001b[31m│\u001b[0m \u001b[0mmay be caused by incorrect brace nesting elsewhere in this file.",
  "\u001b[31m╵\u001b[0m\u001b[0m",
  "",
  ""
].join("\n")

/** What Terraform 1.11.4 prints, whose announcement is an error by itself. */
export const announcedByTerraform = [
  "",
  "\u001b[0m\u001b[1mInitializing the backend...\u001b[0m",
  "\u001b[31m╷\u001b[0m\u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m\u001b[1m\u001b[31mError: \u001b[0m\u001b[0m\u001b[1m\u001b[0mTerraform encountered problems during initialisation, including problems",
  "\u001b[31m│\u001b[0m \u001b[0mwith the configuration, described below.",
  "\u001b[31m│\u001b[0m \u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0mThe Terraform configuration must be valid before initialization so that",
  "\u001b[31m│\u001b[0m \u001b[0mTerraform can determine which modules and providers need to be installed.\u001b[0m\u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m\u001b[0m",
  "\u001b[31m╵\u001b[0m\u001b[0m",
  "\u001b[31m╷\u001b[0m\u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m\u001b[1m\u001b[31mError: \u001b[0m\u001b[0m\u001b[1mInvalid single-argument block definition\u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m\u001b[0m  on main.tf line 1, in resource \"terraform_data\" \"a\":",
  "\u001b[31m╵\u001b[0m\u001b[0m",
  ""
].join("\n")

export const moduleMissing = [
  "",
  "\u001b[0m\u001b[1mInitializing the backend...\u001b[0m",
  "\u001b[0m\u001b[1mInitializing modules...\u001b[0m",
  "- x in ",
  "\u001b[31m╷\u001b[0m\u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m\u001b[1m\u001b[31mError: \u001b[0m\u001b[0m\u001b[1mUnreadable module directory\u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m\u001b[0mUnable to evaluate directory symlink: lstat nope: no such file or directory",
  "\u001b[31m╵\u001b[0m\u001b[0m",
  "",
  "\u001b[31m╷\u001b[0m\u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m\u001b[1m\u001b[31mError: \u001b[0m\u001b[0m\u001b[1mUnreadable module directory\u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m\u001b[0mThe directory  could not be read for module \"x\" at main.tf:1.",
  "\u001b[31m╵\u001b[0m\u001b[0m",
  "",
  ""
].join("\n")

export const unsupportedArgument = [
  "\u001b[31m╷\u001b[0m\u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m\u001b[1m\u001b[31mError: \u001b[0m\u001b[0m\u001b[1mUnsupported argument\u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m\u001b[0m  on main.tf line 7, in resource \"time_static\" \"x\":",
  "\u001b[31m│\u001b[0m \u001b[0m   7:   \u001b[4mnope\u001b[0m = 1\u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0mAn argument named \"nope\" is not expected here.",
  "\u001b[31m╵\u001b[0m\u001b[0m",
  ""
].join("\n")

export const localState = [
  "\u001b[0m\u001b[1mInitializing the backend...\u001b[0m",
  "\u001b[31m╷\u001b[0m\u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m\u001b[1m\u001b[31mError: \u001b[0m\u001b[0m\u001b[1mCan't ask approval for state migration when interactive input is disabled.",
  "\u001b[31m│\u001b[0m \u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0mIf non-interactive operation is desired, consider adding the \"-force-copy\"",
  "\u001b[31m│\u001b[0m \u001b[0moption. Otherwise, please remove the \"-input=false\" option and try again.\u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m\u001b[0m",
  "\u001b[31m╵\u001b[0m\u001b[0m",
  "",
  ""
].join("\n")

export const localStateOnlyRead = [
  "\u001b[0m\u001b[1mInitializing the backend...\u001b[0m",
  "\u001b[31m╷\u001b[0m\u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m\u001b[1m\u001b[31mError: \u001b[0m\u001b[0m\u001b[1mError acquiring the state lock\u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m\u001b[0mError message: Unexpected HTTP response code 405",
  "\u001b[31m│\u001b[0m \u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0mOpenTofu acquires a state lock to protect the state from being written",
  "\u001b[31m│\u001b[0m \u001b[0mby multiple users at the same time. Please resolve the issue above and try",
  "\u001b[31m│\u001b[0m \u001b[0magain. For most commands, you can disable locking with the \"-lock=false\"",
  "\u001b[31m│\u001b[0m \u001b[0mflag, but this is not recommended.",
  "\u001b[31m╵\u001b[0m\u001b[0m",
  "",
  ""
].join("\n")

/** What Terraform 1.11.4 prints: with backend `http`, the lock that it wanted for itself, under the id of the one that is there. */
export const lockHeld = [
  "\u001b[31m╷\u001b[0m\u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m\u001b[1m\u001b[31mError: \u001b[0m\u001b[0m\u001b[1mError acquiring the state lock\u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m\u001b[0mError message: HTTP remote state already locked:",
  "\u001b[31m│\u001b[0m \u001b[0mID=7f0d5f6e-2a34-6c55-7f0b-0c1d6a2f7e11",
  "\u001b[31m│\u001b[0m \u001b[0mLock Info:",
  "\u001b[31m│\u001b[0m \u001b[0m  ID:        1263acf4-f747-2456-5a98-ffb1b9865825",
  "\u001b[31m│\u001b[0m \u001b[0m  Path:      ",
  "\u001b[31m│\u001b[0m \u001b[0m  Operation: OperationTypeApply",
  "\u001b[31m│\u001b[0m \u001b[0m  Who:       root@vm",
  "\u001b[31m│\u001b[0m \u001b[0m  Version:   1.11.4",
  "\u001b[31m│\u001b[0m \u001b[0m  Created:   2026-11-29 18:32:24.745044359 +0000 UTC",
  "\u001b[31m│\u001b[0m \u001b[0m  Info:      ",
  "\u001b[31m│\u001b[0m \u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0mTerraform acquires a state lock to protect the state from being written",
  "\u001b[31m│\u001b[0m \u001b[0mby multiple users at the same time. Please resolve the issue above and try",
  "\u001b[31m│\u001b[0m \u001b[0magain. For most commands, you can disable locking with the \"-lock=false\"",
  "\u001b[31m│\u001b[0m \u001b[0mflag, but this is not recommended.",
  "\u001b[31m╵\u001b[0m\u001b[0m",
  "",
  ""
].join("\n")

export const workspaceNamed = [
  "\u001b[0m\u001b[1mInitializing the backend...\u001b[0m",
  "\u001b[0m\u001b[32m",
  "Successfully configured the backend \"http\"! OpenTofu will automatically",
  "use this backend unless the backend configuration changes.\u001b[0m",
  "\u001b[31m╷\u001b[0m\u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m\u001b[1m\u001b[31mError: \u001b[0m\u001b[0m\u001b[1mError loading state\u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m\u001b[0mworkspaces not supported",
  "\u001b[31m╵\u001b[0m\u001b[0m",
  "",
  ""
].join("\n")

export const localWorkspaces = [
  "\u001b[0m\u001b[1mInitializing the backend...\u001b[0m",
  "\u001b[31m╷\u001b[0m\u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m\u001b[1m\u001b[31mError: \u001b[0m\u001b[0m\u001b[1mError asking for state migration action: input is disabled\u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m",
  "\u001b[31m│\u001b[0m \u001b[0m\u001b[0m",
  "\u001b[31m╵\u001b[0m\u001b[0m",
  "",
  ""
].join("\n")
