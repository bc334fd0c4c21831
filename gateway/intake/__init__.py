"""What the world sends: NewStore's fulfillment requests and providers' callbacks, stored before they are answered."""
