package main

import (
	"crypto/rand"

	"google.golang.org/protobuf/types/known/structpb"

	gaiav1 "github.com/gaia-workflows/gaia/examples/clients/go/gen/gaia/v1"
)

// greetings returns a workflow of three Steps that greet, made by one array var, and one that gathers what they wrote.
func greetings(workflow string) *gaiav1.UploadRequest {
	text := structpb.NewStringValue
	names := &structpb.ListValue{Values: []*structpb.Value{text("Ada"), text("Grace"), text("Katherine")}}
	greet := &gaiav1.Command{
		Name: "greet", Image: "busybox:1.36", Command: []string{"echo", "Hello, {{NAME}}!"},
		Outputs: map[string]string{"greeting": ">"},
	}
	gather := &gaiav1.Command{
		Name: "gather", Image: "busybox:1.36", Command: []string{"sh", "-c", "cat {{greetings}}*"},
		Inputs:  map[string]string{"greetings": "/in/greetings/"},
		Outputs: map[string]string{"all": ">"},
	}
	greetEach := &gaiav1.Step{
		Name: "greet", Command: "greet",
		Vars:    map[string]*structpb.Value{"NAME": structpb.NewListValue(names)},
		Outputs: map[string]string{"greeting": "greetings/{{NAME}}.txt"},
	}
	gatherAll := &gaiav1.Step{
		Name: "gather", Command: "gather",
		Inputs:  map[string]string{"greetings": "greetings/"},
		Outputs: map[string]string{"all": "greetings.txt"},
	}
	return &gaiav1.UploadRequest{
		RequestId:  rand.Text(),
		Workflow:   workflow,
		Properties: &structpb.Struct{Fields: map[string]*structpb.Value{"owner": text("demo")}},
		Commands:   []*gaiav1.Command{greet, gather},
		Steps:      []*gaiav1.Step{greetEach, gatherAll},
	}
}

// mistaken returns a request that Gaia refuses, for two reasons.
func mistaken(workflow string) *gaiav1.MergeRequest {
	unknown := &gaiav1.Step{Name: "greet-Emmy", Command: "gret"}
	nameless := &gaiav1.Step{
		Name: "greet-nobody", Command: "greet", Outputs: map[string]string{"greeting": "greetings/nobody.txt"},
	}
	return &gaiav1.MergeRequest{RequestId: rand.Text(), Workflow: workflow, Steps: []*gaiav1.Step{unknown, nameless}}
}
