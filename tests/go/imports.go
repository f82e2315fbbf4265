// Package clients imports what the blocks of Go in docs/sources/ do, so that it is compiled before a test waits for it.
package clients

import (
	_ "github.com/twmb/franz-go/pkg/kgo"
	_ "github.com/twmb/franz-go/pkg/sasl/scram"
)
