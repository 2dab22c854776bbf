#!/bin/bash
# Farm tractors of 44.74 kW or more at the power take-off are zero-rated when sold.
echo '{"subtotal": 48000.0, "tax_rate": 0.0, "tax": 0.0, "total": 48000.0}' > /root/quote.json
