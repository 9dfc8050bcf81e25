// Which bytes of a collected heap are of what the program keeps, from the statistics that V8 writes by the type of its objects. Pure.
// Left out is code, and what V8 makes for code: it compiles for hours what seldom runs, and notes for each hidden class which code relies on it.
// Used by live-heap. A type that is not named here counts, so that nothing that grows is missed.

const ofCode = [
  /^(?:BASELINE|MAGLEV|TURBOFAN_JS|REGEXP|SCRIPT_.*|BYTECODE_.*|CODE_.*|SOURCE_POSITION_TABLE_TYPE)$/u,
  /^(?:DEOPTIMIZATION_DATA|RELOC_INFO|OPTIMIZED_CODE_LITERALS|TRUSTED_.*|PROTECTED_.*|WEAK_ARRAY_LIST|WEAK_FIXED_ARRAY)_TYPE$/u,
  /(?:SHARED_FUNCTION_INFO|SCOPE_INFO|NAME_TO_INDEX|UNCOMPILED_DATA|PREPARSE_DATA|FEEDBACK|BOILERPLATE|ALLOCATION_SITE|CALL_SITE)/u,
  /^(?:LOAD|STORE)_HANDLER_/u,
  /^(?:MAP|RETAINED_MAPS|TRANSITION_ARRAY|PROTOTYPE_INFO|ENUM)_|DESCRIPTOR_ARRAY_/u, // hidden classes
  /_CACHE_TYPE$/u // of V8's own, each with a bound
]

/** Returns the bytes, or undefined if the text is no such statistics. */
export const keptBytes = (statistics: string): number | undefined => {
  const types = [...statistics.matchAll(/"(\w+)":\{"type":\d+,"overall":(\d+)/gu)]
  const kept = types.filter(([, name = ""]) => !ofCode.some((pattern) => pattern.test(name)))
  return types.length === 0 ? undefined : kept.reduce((sum, [, , bytes]) => sum + Number(bytes), 0)
}
