// Runs a health check of Argo CD's, with the Lua engine that Argo CD has, over objects as JSON, one after the other.
// Usage: lua-health CHECK.lua <OBJECTS; prints a line for each: STATUS<TAB>name<TAB>message. Exit status 1 where the check fails or names no health of Argo CD's.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	lua "github.com/yuin/gopher-lua"
)

var healths = []string{"Healthy", "Progressing", "Degraded", "Suspended", "Missing", "Unknown"}

// As Argo CD gives them: no files, no processes, no other modules.
var libraries = map[string]lua.LGFunction{lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable, lua.StringLibName: lua.OpenString}

func valueOf(state *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case bool:
		return lua.LBool(value)
	case float64:
		return lua.LNumber(value)
	case string:
		return lua.LString(value)
	case []any:
		table := state.NewTable()
		for _, item := range value {
			table.Append(valueOf(state, item))
		}
		return table
	case map[string]any:
		table := state.NewTable()
		for key, item := range value {
			table.RawSetString(key, valueOf(state, item))
		}
		return table
	}
	return lua.LNil
}

func health(check string, object map[string]any) (status, message string, err error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range libraries {
		if err := state.CallByParam(lua.P{Fn: state.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			return "", "", err
		}
	}
	state.SetGlobal("obj", valueOf(state, object))
	if err := state.DoString(check); err != nil {
		return "", "", err
	}
	answer, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		return "", "", fmt.Errorf("the check returns %s, not a table", state.Get(-1).Type())
	}
	status = lua.LVAsString(answer.RawGetString("status"))
	if !slices.Contains(healths, status) {
		return "", "", fmt.Errorf("%q is no health of Argo CD's", status)
	}
	return status, lua.LVAsString(answer.RawGetString("message")), nil
}

func run(path string) error {
	check, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for decoder := json.NewDecoder(os.Stdin); ; {
		var object struct {
			Metadata struct{ Name string }
			whole    map[string]any
		}
		var text json.RawMessage
		if err := decoder.Decode(&text); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := errors.Join(json.Unmarshal(text, &object), json.Unmarshal(text, &object.whole)); err != nil {
			return err
		}
		status, message, err := health(string(check), object.whole)
		if err != nil {
			return fmt.Errorf("%s: %w", object.Metadata.Name, err)
		}
		fmt.Printf("%s\t%s\t%s\n", status, object.Metadata.Name, message)
	}
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "lua-health: usage: lua-health CHECK.lua <OBJECTS")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "lua-health:", err)
		os.Exit(1)
	}
}
