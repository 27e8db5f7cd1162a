package rest_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/rekey-host/rekey/sdk/rest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// One exchange of an operation: what the status means is the receipt, and the value is
// scrubbed from whatever the server quotes.
func ExampleClient_Do() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/users/ann/password" {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer server.Close()
	client, err := rest.New(rest.Options{Base: server.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	value := secret.New("correct horse battery")
	for _, path := range []string{"/users/ann/password", "/users/nobody/password"} {
		_, failure := client.Do(context.Background(), rest.Request{Method: "PUT", Path: path, Body: []byte(value.Reveal()), Secrets: []secret.Value{value}})
		if failure == nil {
			fmt.Println("done")
			continue
		}
		fmt.Println(failure.Receipt().Outcome, failure.Err.Code)
	}
	// Output:
	// done
	// refused AccountNotFound
}
