// Command consumer follows a workflow by the public events of Gaia, and checks that none is missing and none comes twice.
//
// What was dealt with is kept in a file, so it goes on where it was, also after a crash. It ends with 0 when every event
// came once, with 1 when not, and with 2 when Kafka or what lies in it is not as it should be.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"

	gaiav1 "github.com/gaia-workflows/gaia/examples/consumer/go/gen/gaia/v1"
)

//go:generate buf generate

const stepCompleted = "io.gaiaworkflows.v1.step_completed"

// cloudEvent is what we use of a CloudEvent 1.0.
type cloudEvent struct {
	id, source, kind, time, subject string
	data                            gaiav1.Event
}

// parse reads a record as the Kafka protocol binding of CloudEvents 1.0, binary mode, has it.
func parse(record *kgo.Record) (*cloudEvent, error) {
	headers := map[string]string{}
	for _, header := range record.Headers {
		headers[header.Key] = string(header.Value)
	}
	if headers["ce_specversion"] != "1.0" || headers["content-type"] != "application/protobuf" {
		return nil, fmt.Errorf("no CloudEvent 1.0 with protobuf in it: %v", headers)
	}
	event := &cloudEvent{id: headers["ce_id"], source: headers["ce_source"], kind: headers["ce_type"],
		time: headers["ce_time"], subject: headers["ce_subject"]}
	return event, proto.Unmarshal(record.Value, &event.data)
}

// react does what there is to do when a Step is complete.
func react(event *cloudEvent, done *gaiav1.StepCompleted) {
	var wrote strings.Builder
	for _, output := range done.Outputs {
		for _, file := range output.Files {
			fmt.Fprintf(&wrote, ", wrote %s (%d B)", file.Key, file.SizeBytes)
		}
	}
	fmt.Printf("%s %s %s: attempt %d took %d ms%s\n", event.time, event.id, event.subject, done.Attempt, done.RunMs, &wrote)
}

// take deals with one event, unless that was done before.
func take(event *cloudEvent, p *progress, workflow string, cut bool) {
	if !p.isNew(event, cut) {
		return
	}
	if event.kind == stepCompleted && event.data.Workflow == workflow {
		p.Completions++
		react(event, event.data.GetStepCompleted())
	}
	switch change := event.data.GetWorkflowChanged().GetChange(); change {
	case "complete", "error", "deleted":
		p.Rests[event.data.Workflow] = change
	case "created":
		delete(p.Rests, event.data.Workflow)
	}
}

// begin makes the client read from where we were, and returns the first offset of each partition.
func begin(ctx context.Context, client *kgo.Client, topic string, p *progress) (map[int32]kadm.ListedOffset, error) {
	firsts, err := kadm.NewClient(client).ListStartOffsets(ctx, topic)
	if err = errors.Join(err, firsts.Error()); err != nil {
		return nil, err
	}
	nexts := map[int32]kgo.Offset{}
	for partition, first := range firsts[topic] {
		next, known := p.Offsets[partition]
		if known && next < first.Offset {
			return nil, errors.New("events were deleted before we read them: ask Gaia how things stand and begin a new file")
		}
		nexts[partition] = kgo.NewOffset().At(max(next, first.Offset))
	}
	client.AddConsumePartitions(map[string]map[int32]kgo.Offset{topic: nexts})
	return firsts[topic], nil
}

// follow takes what there is until the workflow has come to rest and nothing more of it is there.
func follow(ctx context.Context, client *kgo.Client, topic, workflow, state string) (*progress, error) {
	p, err := load(state)
	if err != nil {
		return nil, err
	}
	firsts, err := begin(ctx, client, topic, p)
	if err != nil {
		return nil, err
	}
	home := int32(crc32.ChecksumIEEE([]byte(workflow)) % uint32(len(firsts))) // the partition with all its events
	for {
		waiting, cancel := context.WithTimeout(ctx, time.Second/2)
		fetches := client.PollFetches(waiting)
		cancel()
		for _, failure := range fetches.Errors() {
			if !errors.Is(failure.Err, context.DeadlineExceeded) {
				return nil, failure.Err
			}
		}
		for _, record := range fetches.Records() {
			if !record.Attrs.IsControl() {
				event, err := parse(record)
				if err != nil {
					return nil, err
				}
				take(event, p, workflow, firsts[record.Partition].Offset > 0)
			}
			p.Offsets[record.Partition] = record.Offset + 1
		}
		if err := p.save(state); err != nil {
			return nil, err
		}
		if p.Rests[workflow] != "" {
			ends, err := kadm.NewClient(client).ListCommittedOffsets(ctx, topic)
			if err = errors.Join(err, ends.Error()); err != nil || p.Offsets[home] >= ends[topic][home].Offset {
				return p, err
			}
		}
	}
}

func main() {
	bootstrap := flag.String("bootstrap", "localhost:9092", "Kafka servers, HOST:PORT,…")
	prefix := flag.String("prefix", "gaia", "GAIA_TOPIC_PREFIX of the server")
	state := flag.String("state", "consumer.json", "file that remembers how far we are")
	flag.Parse()
	if flag.NArg() != 1 {
		fail(errors.New("name one workflow, after the flags"))
	}
	workflow := flag.Arg(0)
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(*bootstrap, ",")...),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.KeepControlRecords(), // the marks that end transactions, or we would never know that we are at the end
	)
	if err != nil {
		fail(err)
	}
	p, err := follow(context.Background(), client, *prefix+".events", workflow, *state)
	if err != nil {
		fail(err)
	}
	fmt.Printf("%s %s: %d completions, %d events, %d missing, %d doubled\n",
		workflow, p.Rests[workflow], p.Completions, p.Events, p.Missing, p.Doubled)
	if p.Missing > 0 || p.Doubled > 0 {
		os.Exit(1)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "error:", err)
	os.Exit(2)
}
