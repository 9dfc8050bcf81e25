// What Flux's health check makes of objects, by the library it uses: reads JSON, one object after the other or a List.
// Prints a line for each: STATUS<TAB>name<TAB>message. Exit status 1 where an object has no status that can be computed.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kubernetesjson "k8s.io/apimachinery/pkg/util/json"
)

func show(object runtime.Object) error {
	one, ok := object.(*unstructured.Unstructured)
	if !ok {
		return fmt.Errorf("%T is no single object", object)
	}
	result, err := status.Compute(one)
	if err != nil {
		return fmt.Errorf("%s %s: %w", one.GetKind(), one.GetName(), err)
	}
	fmt.Printf("%s\t%s\t%s\n", result.Status, one.GetName(), result.Message)
	return nil
}

func run() error {
	for decoder := json.NewDecoder(os.Stdin); ; {
		var text json.RawMessage
		if err := decoder.Decode(&text); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		object := &unstructured.Unstructured{}
		if err := kubernetesjson.Unmarshal(text, &object.Object); err != nil { // numbers as int64, which kstatus wants of a generation
			return err
		}
		each := func(do func(runtime.Object) error) error { return do(object) }
		if object.IsList() {
			each = object.EachListItem
		}
		if err := each(show); err != nil {
			return err
		}
	}
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "kstatus:", err)
		os.Exit(1)
	}
}
