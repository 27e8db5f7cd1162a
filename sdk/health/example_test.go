package health_test

import (
	"crypto/tls"
	"fmt"
	"time"

	"github.com/rekey-host/rekey/sdk/health"
)

// What a server shows is noted as it is met, and told by Check.
func ExampleWitness() {
	var witness health.Witness
	config := witness.Watch(&tls.Config{ServerName: "directory.example.com"})
	fmt.Println(config.ServerName)
	witness.Clock(time.Now().Add(-10*time.Minute), time.Now())
	for _, finding := range witness.Findings(time.Now()) {
		fmt.Println(finding.Message)
	}
	// Output:
	// directory.example.com
	// the server's clock is 10m0s behind this machine's
}
