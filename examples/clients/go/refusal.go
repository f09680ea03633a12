package main

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	gaiav1 "github.com/gaia-workflows/gaia/examples/clients/go/gen/gaia/v1"
)

// refused is the error of a call that Gaia refused, with all that is wrong.
type refused struct{ *gaiav1.Refusal }

func (refusal refused) Error() string {
	lines := []string{fmt.Sprintf("refused (%s): %s", refusal.Refusal.Error, refusal.Message)}
	for _, problem := range refusal.Problems {
		lines = append(lines, fmt.Sprintf("  %s: %s", problem.Place, problem.Message))
	}
	return strings.Join(lines, "\n")
}

// readRefusal is an interceptor that takes the Refusal out of a refused call's trailing metadata.
func readRefusal(ctx context.Context, method string, request, reply any, connection *grpc.ClientConn,
	invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	var trailer metadata.MD
	err := invoke(ctx, method, request, reply, connection, append(options, grpc.Trailer(&trailer))...)
	if packed := trailer.Get("gaia-refusal-bin"); err != nil && len(packed) > 0 {
		refusal := &gaiav1.Refusal{}
		if proto.Unmarshal([]byte(packed[0]), refusal) == nil {
			return refused{refusal}
		}
	}
	return err
}
