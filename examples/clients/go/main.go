// Command gaia-client runs a small workflow on a Gaia server: it uploads it, watches it, and prints its result.
//
// Usage: gaia-client [WORKFLOW]; GAIA_HOST and GAIA_TOKEN name the server and open it.
package main

//go:generate buf generate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	gaiav1 "github.com/gaia-workflows/gaia/examples/clients/go/gen/gaia/v1"
)

// Calls are sent again while the server is unavailable. Mutations carry a request id, so Gaia does each of them once.
const retries = `{"methodConfig": [{
	"name": [{"service": "gaia.v1.Gaia"}],
	"retryPolicy": {
		"maxAttempts": 5, "initialBackoff": "0.2s", "maxBackoff": "5s", "backoffMultiplier": 2,
		"retryableStatusCodes": ["UNAVAILABLE"]
	}
}]}`

func main() {
	workflow := "demo_greetings_" + time.Now().Format("20060102.150405")
	if len(os.Args) > 1 {
		workflow = os.Args[1]
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, workflow); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, workflow string) error {
	connection, err := grpc.NewClient(
		cmp.Or(os.Getenv("GAIA_HOST"), "localhost:24442"),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(retries),
		grpc.WithUnaryInterceptor(readRefusal),
	)
	if err != nil {
		return err
	}
	defer connection.Close()
	if token := os.Getenv("GAIA_TOKEN"); token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	gaia := gaiav1.NewGaiaClient(connection)

	request := greetings(workflow)
	uploaded, err := gaia.Upload(ctx, request)
	if err != nil {
		return err
	}
	fmt.Println("added", strings.Join(uploaded.Diff.Added, " "))

	// Had the answer been lost on its way, we would not know. The same request again, with its id, is harmless.
	again, err := gaia.Upload(ctx, request)
	if err != nil {
		return err
	}
	fmt.Println("sent again, same answer:", proto.Equal(uploaded, again))

	if err := watch(ctx, gaia, workflow); err != nil {
		return err
	}
	if err := printFile(ctx, gaia, workflow, "greetings.txt"); err != nil {
		return err
	}

	_, err = gaia.Merge(ctx, mistaken(workflow))
	fmt.Println(err)
	return nil
}

// watch prints what happens, from the workflow's first event on, until it comes to rest; it must be complete then.
func watch(ctx context.Context, gaia gaiav1.GaiaClient, workflow string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := gaia.Watch(ctx, &gaiav1.WatchRequest{Workflow: workflow, FromSequence: proto.Uint64(1), EveryEvent: true})
	if err != nil {
		return err
	}
	for {
		told, err := stream.Recv()
		if err != nil {
			return err
		}
		switch event := told.GetEvent().GetEvent().(type) {
		case *gaiav1.Event_StepStarted:
			fmt.Println("started", event.StepStarted.Step, "on", event.StepStarted.Worker)
		case *gaiav1.Event_StepCompleted:
			fmt.Println("completed", event.StepCompleted.Step)
		case *gaiav1.Event_StepFailed:
			fmt.Println("failed", event.StepFailed.Step, event.StepFailed.Failure.Message)
		case *gaiav1.Event_WorkflowChanged:
			switch change := event.WorkflowChanged.Change; change {
			case "complete":
				fmt.Println("the workflow is complete")
				return nil
			case "error", "stalled":
				return fmt.Errorf("the workflow came to rest: %s", change)
			}
		}
	}
}

func printFile(ctx context.Context, gaia gaiav1.GaiaClient, workflow, key string) error {
	stream, err := gaia.Get(ctx, &gaiav1.GetRequest{Workflow: workflow, Key: key})
	if err != nil {
		return err
	}
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		os.Stdout.Write(part.GetData()) // Nothing in the first part, which tells the file's size.
	}
}
